#!/usr/bin/python3
"""forge.py PORT FILE: as much of Gitea as `amid bump` and `amid preview --publish` ask for, with one repository.

What it was told stands in FILE, as JSON: pull requests, comments and commit statuses.
"""

import http.server
import json
import re
import sys

LARGEST = 1 << 20


def handler(path):
    told = {"pulls": [], "comments": [], "statuses": []}

    def answer(method, place, page, body):
        """Status and content."""
        if re.search(r"/(pulls|issues/\d+/comments)$", place):
            kept = told["pulls" if place.endswith("pulls") else "comments"]
            if method == "GET":
                return 200, kept if page == "1" else []
            new = {"number": len(kept) + 1, "id": len(kept) + 1, "html_url": f"http://127.0.0.1/pulls/{len(kept) + 1}", **body}
            if "head" in body:
                new.update({"head": {"ref": body["head"]}, "base": {"ref": body["base"]}, "state": "open"})
            kept.append(new)
            return 201, new
        found = re.search(r"/(pulls|issues/comments)/(\d+)$", place)
        if found and method == "PATCH":
            kept = told["pulls" if found[1] == "pulls" else "comments"][int(found[2]) - 1]
            kept.update(body)
            return 200, kept
        if "/statuses/" in place:
            told["statuses"].append(body)
            return 201, body
        return 404, {"message": f"not here: {method} {place}"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def serve(self):
            body = json.loads(self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST)) or b"null")
            place, _, query = self.path.partition("?")
            page = re.search(r"(?:^|&)page=(\d+)", query)
            status, content = answer(self.command, place, page[1] if page else "1", body)
            with open(path, "w", encoding="utf-8") as file:
                json.dump(told, file)
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = serve

        def log_message(self, *_):
            pass

    return Handler


if __name__ == "__main__":
    port, file = sys.argv[1:]
    http.server.HTTPServer(("127.0.0.1", int(port)), handler(file)).serve_forever()
