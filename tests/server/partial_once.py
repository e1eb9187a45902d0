"""The one-shot exchange: connects, sends one message without an end of line, reads once, and ends."""

import sys
from socket import AF_INET, SOCK_STREAM, socket

sock = socket(AF_INET, SOCK_STREAM)
sock.connect((sys.argv[1], int(sys.argv[2])))
sock.send("I am a client".encode("utf-8"))
print("received :", sock.recv(1024).decode("utf-8"))
