"""A small S3 store in memory that misbehaves as it is told, in a thread of the process that uses it.

    with fake_store(ignores_condition) as store: ... store.endpoint ...

A fault is a function of a request that answers it, or returns None so that the store does. Without one the store does what
the product needs of S3: objects by path-style address, conditional puts, listings, uploads in parts. It checks no signature.
"""

import contextlib
import datetime
import http.server
import re
import ssl
import subprocess
import threading
import urllib.parse
from email.utils import format_datetime
from xml.sax.saxutils import escape, unescape


class Store(http.server.ThreadingHTTPServer):
    """The objects and the unfinished uploads of the one bucket that requests name."""

    daemon_threads = True

    def __init__(self, fault=None, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault = fault or (lambda request: None)
        self.objects = {}
        self.modified = {}  # by key: when
        self.uploads = {}  # by id: the key, when it began, the parts
        self.lock = threading.Lock()
        self.scheme = "http"
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    @property
    def endpoint(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def begin_upload(self, key, began=None):
        """Begins an upload in parts; `began` is when, now if it is not given."""
        began = began or datetime.datetime.now(datetime.UTC)
        upload = f"upload-{len(self.uploads)}"
        self.uploads[upload] = (key, began.strftime("%Y-%m-%dT%H:%M:%S.000Z"), {})
        return upload

    def handle_error(self, request, client_address):
        """A client that speaks another protocol, or goes away, is part of the tests."""


@contextlib.contextmanager
def fake_store(fault=None, context=None):
    """A running store."""
    store = Store(fault, context)
    thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield store
    finally:
        store.shutdown()
        thread.join()
        store.server_close()


def tls_of_own_authority(folder):
    """A TLS context whose certificate is from an authority that no machine trusts: `folder`/authority.pem."""
    name = ["-nodes", "-newkey", "rsa:2048", "-subj"]
    authority, key, certificate = folder / "authority.pem", folder / "key.pem", folder / "certificate.pem"
    signed_by = ["-CA", authority, "-CAkey", folder / "authority.key"]
    for command in (
        ["-x509", *name, "/CN=authority", "-keyout", folder / "authority.key", "-out", authority],
        ["-x509", *name, "/CN=127.0.0.1", "-keyout", key, "-out", certificate, *signed_by]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
    ):
        subprocess.run(["openssl", "req", "-days", "2", *command], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


# ---- faults ------------------------------------------------------------------------------------------------------


def ignores_condition(request):
    """Creates an object that is there already."""
    del request.headers["If-None-Match"]


def refuses_condition(status, code):
    """Does not know conditional puts."""

    def fault(request):
        if request.command == "PUT" and request.headers["If-None-Match"]:
            request.refuse(status, code, "A header you provided implies functionality that is not implemented")
            return True

    return fault


def always(status, code, message, headers=None, more=""):
    """Answers every request alike."""

    def fault(request):
        request.refuse(status, code, message, headers, more)
        return True

    return fault


def is_no_store(request):
    """A web server of another kind."""
    request.answer(501, b"<html><body>Unsupported method</body></html>")
    return True


# ---- the store ---------------------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        address = urllib.parse.urlsplit(self.path)
        _, self.bucket, *key = urllib.parse.unquote(address.path).split("/", 2)
        self.key = key[0] if key else ""
        self.query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        if not self.server.fault(self):
            with self.server.lock:
                getattr(self, "on_" + self.command.lower())()

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = handle_request

    def on_put(self):
        if "uploadId" in self.query:
            self.server.uploads[self.query["uploadId"]][2][int(self.query["partNumber"])] = self.body
        elif self.headers["If-None-Match"] and self.key in self.server.objects:
            return self.refuse(412, "PreconditionFailed", "it is there")
        else:
            self.keep(self.body)
        self.answer(200, headers={"ETag": '"1"'})

    def keep(self, content):
        """Creates or replaces the object of the request."""
        self.server.objects[self.key] = content
        self.server.modified[self.key] = datetime.datetime.now(datetime.UTC)

    def on_get(self):
        if "uploads" in self.query:
            return self.list_uploads()
        if not self.key:
            return self.list()
        if self.key not in self.server.objects:
            return self.refuse(404, "NoSuchKey", "it is not there")
        found, status, headers = self.server.objects[self.key], 200, {}
        if span := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers["Range"] or ""):
            size = len(found)
            first = int(span[1]) if span[1] else size - int(span[2])
            last = min(int(span[2]), size - 1) if span[1] and span[2] else size - 1
            found, status = found[first : last + 1], 206
            headers = {"Content-Range": f"bytes {first}-{last}/{size}"}
        modified = format_datetime(self.server.modified[self.key], usegmt=True)
        self.answer(status, found, {"ETag": '"1"', "Last-Modified": modified, **headers})

    on_head = on_get

    def on_delete(self):
        if "uploadId" in self.query:
            self.server.uploads.pop(self.query["uploadId"], None)
        else:
            self.server.objects.pop(self.key, None)
        self.answer(204)

    def on_post(self):
        if "delete" in self.query:
            keys = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", self.body.decode())]
            for key in keys:
                self.server.objects.pop(key, None)
            deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
            return self.answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())
        if "uploads" in self.query:
            upload = self.server.begin_upload(self.key)
            body = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            return self.answer(200, body.encode())
        _, _, parts = self.server.uploads.pop(self.query["uploadId"])
        self.keep(b"".join(parts[number] for number in sorted(parts)))
        result = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>"
        self.answer(200, result.encode())

    def list(self):
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter")
        contents, folders = [], set()
        for key, content in sorted(self.server.objects.items()):
            if not key.startswith(prefix):
                continue
            rest = key.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            contents.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><ETag>1</ETag>"
                f"<LastModified>{self.server.modified[key]:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
            )
        contents += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        self.answer(200, f"<ListBucketResult>{''.join(contents)}</ListBucketResult>".encode())

    def list_uploads(self):
        found = "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>{upload}</UploadId><Initiated>{began}</Initiated></Upload>"
            for upload, (key, began, _) in sorted(self.server.uploads.items())
            if key.startswith(self.query.get("prefix", ""))
        )
        body = f"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{found}</ListMultipartUploadsResult>"
        self.answer(200, body.encode())

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message, headers=None, more=""):
        body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{more}</Error>"
        self.answer(status, body.encode(), headers)
