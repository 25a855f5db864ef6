"""Each check can fail: a board that breaks a rule is found out, by that rule."""

import copy
import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from source import lint, names, promql  # noqa: E402


def set_query(query):
    def change(board):
        panel = next(one for one in board["panels"] if one["type"] == "timeseries")
        panel["targets"][0]["expr"] = query
    return change


def set_panel(**fields):
    return lambda board: next(one for one in board["panels"]
                              if one["type"] == "timeseries").update(fields)


def set_variable(which, **fields):
    return lambda board: next(one for one in board["templating"]["list"]
                              if one["name"] == which).update(fields)


def without_unit(board):
    panel = next(one for one in board["panels"] if one["type"] == "timeseries")
    panel["fieldConfig"]["defaults"]["unit"] = ""


BREACHES = {
    "template-datasource-rule": set_variable("datasource", name="source"),
    "template-job-rule": set_variable("job", allValue=".*"),
    "template-instance-rule": set_variable("instance", multi=False),
    "template-label-promql-rule": set_variable("job", query="label_values(up{, job)"),
    "template-on-time-change-reload-rule": set_variable("job", refresh=1),
    "panel-datasource-rule": set_panel(datasource={"uid": "abc"}),
    "panel-title-description-rule": set_panel(description=""),
    "panel-units-rule": without_unit,
    "panel-no-targets-rule": set_panel(targets=[]),
    "target-promql-rule": set_query("sum(up"),
    "target-rate-interval-rule":
        set_query('rate(a_total{job=~"$job", instance=~"$instance"}[5m])'),
    "target-job-rule": set_query('up{instance=~"$instance"}'),
    "target-instance-rule": set_query('up{job=~"$job", instance="x"}'),
    "target-counter-agg-rule": set_query('sum(a_total{job=~"$job", instance=~"$instance"})'),
    "uneditable-dashboard": lambda board: board.update(editable=True),
}


class Lint(unittest.TestCase):
    def setUp(self):
        self.board = json.loads((HERE / "controller.json").read_text())

    def test_the_board_as_it_is_breaks_no_rule(self):
        self.assertEqual(list(lint.findings(self.board)), [])

    def test_every_rule_finds_its_breach(self):
        self.assertEqual(set(BREACHES), set(lint.RULES))
        for rule, breach in BREACHES.items():
            board = copy.deepcopy(self.board)
            breach(board)
            self.assertIn(rule, {found for found, _ in lint.findings(board)})


class Names(unittest.TestCase):
    def setUp(self):
        self.exported = names.Exported()

    def wrong(self, query):
        return list(names.wrong_in(query, self.exported, "here"))

    def test_what_is_exported_is_right(self):
        for query in ('sum by (app) (amid_app_info{phase="held"})',
                      'rate(amid_rolls_total{outcome=~"failed_.*|applied"}[5m])',
                      "amid_pass_duration_seconds_bucket{le=\"1\"}",
                      'todo_http_requests_total{status="503"} * on (job) group_left () up',
                      "amid_app_lead_time_seconds_sum / amid_app_lead_time_seconds_count"):
            self.assertEqual(self.wrong(query), [], query)

    def test_a_wrong_name_label_value_or_grouping_is_found(self):
        for query in ("amid_app_inof", 'amid_app_info{fase="held"}', 'amid_app_info{phase="hold"}',
                      'amid_rolls_total{outcome=~"applied|lost"}', "sum by (color) (amid_app_info)",
                      "amid_pass_duration_seconds", 'amid_passes_running{app="x"}',
                      "todo_http_request_total", "amid_app_info{"):
            self.assertNotEqual(self.wrong(query), [], query)

    def test_labels_in_short_are_held_against_the_family_too(self):
        for short, wrong in (("amid_steps_total{step,result}", 0), ("amid_steps_total{stap}", 1)):
            found = list(names.wrong_labels(short, self.exported, "here"))
            self.assertEqual(len(found), wrong, short)

    def test_a_family_of_which_nobody_speaks_is_found(self):
        self.exported.families.append({"name": "amid_unheard_of", "kind": "gauge", "labels": {}})
        self.assertIn("amid_unheard_of", names.unmentioned({}, self.exported))


class Promql(unittest.TestCase):
    def test_selectors_are_read_with_matchers_ranges_and_functions(self):
        read = promql.read('histogram_quantile(0.9, sum by (le) (rate(a_bucket{x="1", y!~"b|c"}'
                           "[$__rate_interval]))) or vector(0) and on (app) b offset 5m")
        first, second = read.selectors
        self.assertEqual((first.name, first.range), ("a_bucket", "$__rate_interval"))
        self.assertEqual(first.matchers, [("x", "=", "1"), ("y", "!~", "b|c")])
        self.assertEqual(first.functions, ("histogram_quantile", "sum", "rate"))
        self.assertEqual((second.name, second.functions), ("b", ()))
        self.assertEqual(read.grouped_by, {"le", "app"})


if __name__ == "__main__":
    unittest.main()
