"""Run inside of an image: lets boto3 find credentials in each way that a cluster offers, from servers of this process, and make clients.

Arguments: the services to make a client of.
"""

import json
import os
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3

KEYS = {"Token": "token", "Expiration": "2999-01-01T00:00:00Z"}
ASSUMED = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/kayan/pod</Arn><AssumedRoleId>A:pod</AssumedRoleId></AssumedRoleUser><Credentials>
<AccessKeyId>of the service account</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


class Aws(BaseHTTPRequestHandler):
    """STS, the endpoint of a pod identity agent, and a machine's metadata."""

    def do_POST(self) -> None:
        self._answer(ASSUMED)

    def do_PUT(self) -> None:
        self._answer("a session")

    def do_GET(self) -> None:
        if self.path == "/pod":
            self._answer(json.dumps(KEYS | {"AccessKeyId": "of the pod", "SecretAccessKey": "secret"}))
        elif self.path.endswith("/security-credentials/"):
            self._answer("kayan")
        else:
            self._answer(json.dumps(KEYS | {"Code": "Success", "AccessKeyId": "of the machine", "SecretAccessKey": "secret"}))

    def _answer(self, text: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
with tempfile.NamedTemporaryFile("w", delete=False) as token:
    token.write("of the service account")

for way in (
    {"AWS_ROLE_ARN": "arn:aws:iam::1:role/kayan", "AWS_WEB_IDENTITY_TOKEN_FILE": token.name, "AWS_ENDPOINT_URL_STS": here},
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{here}/pod"},
    {"AWS_EC2_METADATA_SERVICE_ENDPOINT": here},
):
    os.environ.update(way)
    credentials = boto3.session.Session(region_name="eu-central-1").get_credentials()
    print(credentials.get_frozen_credentials().access_key)
    for name in way:
        del os.environ[name]

for service in sys.argv[1:]:
    print(boto3.client(service, region_name="eu-central-1", aws_access_key_id="key", aws_secret_access_key="secret").meta.endpoint_url)
