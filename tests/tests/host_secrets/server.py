# A git repository over HTTPS, for who knows the password: python3 server.py SOCKET PASSWORD.
import base64, functools, http.server, socketserver, ssl, sys

path, password = sys.argv[1:]
known = "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") != known:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_):
        pass


server = socketserver.ThreadingUnixStreamServer(path, functools.partial(Handler, directory="."))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
