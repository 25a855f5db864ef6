"""data-volume: two machines and one volume against an emulated API, and what it writes on which device."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

import support

SCRIPT = os.path.join(support.BASE, "data-volume")
data_volume = support.load(SCRIPT)
SIZE = 512 << 20


class Prepare(unittest.TestCase):
    """Which devices get a file system. Files stand in for devices: the tools make no difference."""

    def setUp(self):
        self.place = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.place)
        self.device = os.path.join(self.place, "device")
        with open(self.device, "wb") as file:
            file.truncate(SIZE)

    def write(self, content, offset):
        with open(self.device, "r+b") as file:
            file.seek(offset)
            file.write(content)

    def prepare(self):
        return data_volume.prepare(self.device)

    def refused(self, with_words):
        before = self.start()
        with self.assertRaisesRegex(data_volume.Problem, with_words):
            self.prepare()
        self.assertEqual(self.start(), before, "nothing was written")

    def start(self):
        with open(self.device, "rb") as file:
            return file.read(1 << 20)

    def test_a_blank_device_gets_xfs_once(self):
        self.assertEqual(self.prepare(), "xfs")
        made = data_volume.signature(self.device)["UUID"]
        self.assertEqual(self.prepare(), "xfs")
        self.assertEqual(data_volume.signature(self.device)["UUID"], made, "it is the same file system")

    def test_a_file_system_of_somebody_else_stays(self):
        subprocess.run(["mkfs.ext4", "-q", "-F", self.device], check=True)
        before = self.start()
        self.assertEqual(self.prepare(), "ext4")
        self.assertEqual(self.start(), before)

    def test_a_file_system_that_lost_its_signature_is_not_formatted(self):
        self.prepare()
        self.write(b"\0" * 4096, 0)
        self.assertEqual(data_volume.signature(self.device), {}, "blkid sees nothing any more")
        self.refused("may be a damaged one")

    def test_data_without_a_file_system_is_not_formatted(self):
        self.write(b"important", 40 << 20)
        self.refused("not blank")

    def test_a_partition_table_is_not_formatted(self):
        self.write(b"\x80" + b"\0" * 3 + b"\x83" + b"\0" * 3 + (2048).to_bytes(4, "little") + (1 << 18).to_bytes(4, "little"), 446)
        self.write(b"\x55\xaa", 510)
        self.refused("PTTYPE=dos")

    def test_swap_is_not_formatted(self):
        subprocess.run(["mkswap", "-q", self.device], check=True)
        self.refused("TYPE=swap")

    def test_a_device_that_cannot_be_read_is_not_formatted(self):
        self.device = os.path.join(self.place, "gone")
        with self.assertRaises((data_volume.Problem, OSError)):
            self.prepare()

    def test_an_empty_device_is_not_formatted(self):
        with open(self.device, "wb"):
            pass
        with self.assertRaisesRegex(data_volume.Problem, "not blank|ended with"):
            self.prepare()


def loop_devices():
    """Whether this machine lets us mount XFS on real devices."""
    if os.geteuid() != 0:
        return False
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory() as place:
        file.truncate(SIZE)
        steps = (["mkfs.xfs", "-q", file.name], ["mount", "-o", "loop", file.name, place], ["umount", place])
        return all(subprocess.run(step, capture_output=True, check=False).returncode == 0 for step in steps)


class TwoMachines(unittest.TestCase):
    """One volume, two machines: the second one waits, and finds what the first one wrote."""

    @classmethod
    def setUpClass(cls):
        cls.moto = support.Moto()
        cls.addClassCleanup(cls.moto.close)
        cls.ec2 = cls.moto.client("ec2")

    def setUp(self):
        self.place = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.place)
        self.app = "prod/mongodb/" + os.path.basename(self.place).lower().replace("_", "-")
        self.devices = os.path.join(self.place, "by-id")
        os.mkdir(self.devices)
        release = os.path.join(self.place, "release.json")
        with open(release, "w", encoding="utf-8") as file:
            json.dump({"app": self.app}, file)
        self.environment = {
            "AWS_ENDPOINT_URL": self.moto.url,
            "AMID_RELEASE_FILE": release,
            "DATA_DEVICES": self.devices,
            "DATA_PAUSE": "0.05",
        }

    def volume(self, zone="us-east-1a", app=None):
        answer = self.ec2.create_volume(
            AvailabilityZone=zone, Size=1,
            TagSpecifications=[{"ResourceType": "volume", "Tags": [
                {"Key": "amid:data", "Value": app or self.app}, {"Key": "mongodb:name", "Value": "a.example.internal"},
            ]}],
        )
        return answer["VolumeId"]

    def machine(self):
        answer = self.ec2.run_instances(ImageId="ami-00000000000000001", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": "us-east-1a"})
        instance = answer["Instances"][0]["InstanceId"]
        metadata = support.Metadata({"instance-id": instance})
        self.addCleanup(metadata.close)
        return instance, metadata.url

    def start(self, name, metadata, **more):
        script = support.Script(SCRIPT, **{
            **self.environment,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata,
            "DATA_DIRECTORY": os.path.join(self.place, name),
            "DATA_FACTS": os.path.join(self.place, name + ".json"),
            **more,
        })
        self.addCleanup(script.close)
        return script

    def holder(self, volume):
        attachments = self.ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]
        return attachments[0]["InstanceId"] if attachments else None

    def show_device(self, volume):
        """What the kernel does once a volume is attached: a device with the volume's id as its serial number."""
        image = os.path.join(self.place, "disk")
        with open(image, "wb") as file:
            file.truncate(SIZE)
        done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=True)
        device = done.stdout.strip()
        self.addCleanup(subprocess.run, ["losetup", "--detach", device], check=False)
        os.symlink(device, os.path.join(self.devices, "nvme-Amazon_Elastic_Block_Store_" + volume.replace("-", "")))
        return device

    def unmount_at_the_end(self, name):
        self.addCleanup(subprocess.run, ["umount", os.path.join(self.place, name)], check=False, capture_output=True)

    def test_the_second_machine_waits_until_the_first_is_gone(self):
        volume = self.volume()
        first, first_metadata = self.machine()
        second, second_metadata = self.machine()

        one = self.start("one", first_metadata)
        one.wait_for(f"{volume} is attached to this machine")
        self.assertEqual(self.holder(volume), first)

        two = self.start("two", second_metadata)
        two.wait_for(f"held by {first}: waiting until it is free")
        self.assertEqual(self.holder(volume), first, "the second machine has not touched it")

        self.ec2.terminate_instances(InstanceIds=[first])
        two.wait_for(f"{volume} is attached to this machine")
        self.assertEqual(self.holder(volume), second)

    @unittest.skipUnless(loop_devices(), "needs root and loop devices")
    def test_what_the_first_machine_wrote_is_there_for_the_second(self):
        volume = self.volume()
        self.show_device(volume)
        first, first_metadata = self.machine()
        _, second_metadata = self.machine()
        self.unmount_at_the_end("one")
        self.unmount_at_the_end("two")

        one = self.start("one", first_metadata)
        self.assertEqual(one.end(), 0, one.said)
        with open(os.path.join(self.place, "one", "data"), "w", encoding="utf-8") as file:
            file.write("kept")
        again = self.start("one", first_metadata)
        self.assertEqual(again.end(), 0, "a second run on the same machine changes nothing")
        with open(os.path.join(self.place, "one.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file)["mongodb:name"], "a.example.internal")

        two = self.start("two", second_metadata)
        two.wait_for("waiting until it is free")
        subprocess.run(["umount", os.path.join(self.place, "one")], check=True)
        self.ec2.terminate_instances(InstanceIds=[first])
        self.assertEqual(two.end(), 0, two.said)
        with open(os.path.join(self.place, "two", "data"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "kept")

    def test_another_apps_volume_and_another_zones_volume_are_left_alone(self):
        others = [self.volume(app="prod/mongodb/other"), self.volume(zone="us-east-1b")]
        _, metadata = self.machine()
        script = self.start("one", metadata, DATA_PATIENCE="0.2")
        self.assertNotEqual(script.end(), 0)
        self.assertIn("no volume in us-east-1a has the tag", script.said[-1])
        self.assertEqual([self.holder(volume) for volume in others], [None, None])

    def test_two_volumes_of_one_app_are_not_guessed_between(self):
        volumes = [self.volume(), self.volume()]
        _, metadata = self.machine()
        script = self.start("one", metadata, DATA_PATIENCE="0.2")
        self.assertNotEqual(script.end(), 0)
        self.assertIn("only one can be right", script.said[-1])
        self.assertEqual([self.holder(volume) for volume in volumes], [None, None])

    def test_giving_up_says_who_holds_the_volume(self):
        volume = self.volume()
        first, _ = self.machine()
        self.ec2.attach_volume(VolumeId=volume, InstanceId=first, Device="/dev/sdf")
        _, metadata = self.machine()
        script = self.start("two", metadata, DATA_PATIENCE="0.2")
        self.assertNotEqual(script.end(), 0)
        self.assertIn(f"held by {first}", script.said[-1])
        self.assertNotIn("Traceback", "\n".join(script.said))


if __name__ == "__main__":
    unittest.main()
