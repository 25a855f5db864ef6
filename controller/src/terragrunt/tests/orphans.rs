//! Applies that nobody waits for any more.

use super::*;

/// An apply that runs until the file `go` is there (or the whole bench gone).
fn until_go(then: &str) -> String {
    format!(
        "here=\"$unit/../..\"\nmkdir \"$here/busy\" || echo overlap > \"$here/overlap\"\necho $$ > \"$here/started\"\nwhile [ -d \"$here\" ] && [ ! -f \"$here/go\" ]; do sleep 0.02; done\nrmdir \"$here/busy\"\n{then}"
    )
}

/// Starts an apply in a runtime of its own and lets that runtime end.
fn abandoned_apply(bench: &Bench) -> u32 {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let pid = runtime.block_on(async {
        tokio::select! {
            result = bench.apply() => panic!("it must still run: {result:?}"),
            pid = bench.seen("started") => pid.trim().parse().expect("pid"),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    pid
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new()
        .expect("runtime")
        .block_on(future)
}

#[test]
fn an_apply_that_outlives_its_controller_is_waited_for() {
    let bench = Bench::new(&good_plan(), &until_go(&format!("{APPLIED}exit 0")));
    let pid = abandoned_apply(&bench);
    block_on(async {
        let runner = bench.runner();
        let unit = bench.unit(&runner);
        let orphan = runner.orphan(&unit).expect("found");
        assert_eq!(orphan.pid(), Some(pid));
        let refused = runner
            .plan(&unit, &Vars::default(), PlanOptions::default())
            .await;
        assert!(matches!(refused, Err(RunError::Busy { .. })), "{refused:?}");

        let waiting = tokio::spawn(orphan.wait());
        fs::write(bench.path("go"), "").expect("write");
        let applied = waiting.await.expect("task").expect("applied");
        assert_eq!(applied.outputs.memory, "m");
        assert_eq!(bench.last_ending(), Some(Ending::Succeeded));
        assert!(runner.orphan(&unit).is_none(), "told once");
    });
}

#[test]
fn an_apply_that_died_with_its_controller_is_reported_and_its_lock_is_broken() {
    let bench = Bench::new(
        &good_plan(),
        &format!(
            "if [ \"$5\" = force-unlock ]; then echo \"$7\" > \"$unit/../../unlocked\"; exit 0; fi\n{}",
            until_go("exit 0")
        ),
    );
    let pid = abandoned_apply(&bench);
    process::kill_group(pid);
    block_on(async {
        gone(pid).await;
        let mut tools = bench.tools();
        // Long enough after the death.
        tools.clock = || {
            Timestamp::now()
                .saturating_add(jiff::SignedDuration::from_secs(60))
                .expect("a time")
        };
        let runner = bench.runner_with(tools);
        let unit = bench.unit(&runner);
        let orphan = runner.orphan(&unit).expect("found");
        assert_eq!(orphan.pid(), None);
        let lock = LockInfo {
            id: "the-lock".to_owned(),
            path: String::new(),
            operation: "OperationTypeApply".to_owned(),
            who: format!("someone@{}", process::host()),
            version: "1.11.4".to_owned(),
            created: orphan
                .started_at()
                .saturating_add(jiff::SignedDuration::from_millis(1))
                .expect("a time"),
        };
        let early = runner.break_own_lock(&unit, &lock).await.expect("judged");
        // Other work on this machine may run a terraform: then the lock stays.
        let other = Unlocked::Kept("another terraform on this machine may hold it".to_owned());
        if early == other {
            println!("skipped the unlocking: another terraform runs on this machine");
            return;
        }
        assert_eq!(early, Unlocked::Broken);
        assert_eq!(bench.seen("unlocked").await, "the-lock\n");

        let result = runner.orphan(&unit).expect("found").wait().await;
        assert!(matches!(result, Err(RunError::Killed(_))), "{result:?}");
        assert!(runner.orphan(&unit).is_none(), "told once");
        let foreign = LockInfo {
            who: "someone@elsewhere".to_owned(),
            ..lock
        };
        let kept = runner
            .break_own_lock(&unit, &foreign)
            .await
            .expect("judged");
        assert!(matches!(kept, Unlocked::Kept(_)), "{kept:?}");
    });
}

#[tokio::test]
async fn dropping_an_apply_lets_it_run_and_the_next_one_waits() {
    let bench = Bench::new(&good_plan(), &until_go(&format!("{APPLIED}exit 0")));
    let runner = bench.runner();
    let unit = bench.unit(&runner);
    let vars = Vars::default();
    let plan = || runner.plan(&unit, &vars, PlanOptions::default());
    let (first, second) = (
        plan().await.expect("planned"),
        plan().await.expect("planned"),
    );
    tokio::select! {
        result = runner.apply(&unit, first) => panic!("it must still run: {result:?}"),
        _ = bench.seen("started") => {}
    }
    assert_eq!(
        runner.progress("demo/todo").map(|now| now.operation),
        Some(Operation::Apply)
    );
    let orphan = runner.orphan(&unit).expect("it has no ending yet");
    let mut next = Box::pin(runner.apply(&unit, second));
    assert!(futures_util::poll!(&mut next).is_pending());
    assert_eq!(bench.runs().iter().filter(|run| *run == "apply").count(), 1);

    fs::write(bench.path("go"), "").expect("write");
    let (adopted, next) = tokio::join!(orphan.wait(), next);
    adopted.expect("the first one");
    next.expect("the second one");
    assert!(!bench.path("overlap").exists(), "never two at once");
    assert_eq!(runner.progress("demo/todo"), None);
}

#[test]
fn a_plan_that_outlives_its_controller_is_ended() {
    let bench = Bench::new(&good_plan(), "");
    let runner = bench.runner();
    let unit = bench.unit(&runner);
    // What a SIGKILL of the controller leaves: an open record and a process.
    let run = record::create(&unit.dir).expect("create");
    let tag = format!("{}@1", run.path.display());
    let mut child = Command::new("/bin/sh")
        .args(["-c", "exec sleep 1000"])
        .env(process::TAG, &tag)
        .spawn()
        .expect("spawn");
    let open = record::Record {
        run: run.number,
        operation: Operation::Plan,
        tag,
        host: process::host(),
        boot_id: process::boot_id(),
        pid: Some(child.id()),
        start_ticks: process::start_ticks(child.id()),
        started_at: Timestamp::now(),
        ended_at: None,
        ending: None,
        exit_code: None,
        interrupted: false,
    };
    run.write(&open).expect("write");
    block_on(async {
        assert!(runner.orphan(&unit).is_none(), "a plan is nobody's orphan");
        bench.plan().await.expect("the unit is free");
    });
    assert!(!child.wait().expect("wait").success(), "it was killed");
}
