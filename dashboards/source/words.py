"""Links and names that boards and alerts share."""

from .grafana import link

# Where people read the runbooks. `generate.py --runbooks URL` puts another in its place.
RUNBOOKS = "https://runbooks.example/amid"
# A row of a table knows its app and the address that Prometheus scrapes: that of amid's page.
APP_PAGE = "http://${__data.fields.amid}/#app=${__data.fields.App}"


def runbook(alert):
    """A link to the runbook of this alert; `generate.py` checks that there is one."""
    return link(f"Runbook {alert}", f"{RUNBOOKS}/{alert}.md")
