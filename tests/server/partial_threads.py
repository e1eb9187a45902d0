"""A chat client of two threads as beginners write it: no end of line after a message, and whatever one
recv(1024) returns is taken for one message."""

import sys
import threading
from socket import AF_INET, SOCK_STREAM, socket


def speak(sock):
    while True:
        text = input()
        sock.send(text.encode("utf-8"))


def listen(sock):
    while True:
        received = sock.recv(1024)
        if not received:
            return
        print("peer :", received.decode("utf-8"))


sock = socket(AF_INET, SOCK_STREAM)
sock.connect((sys.argv[1], int(sys.argv[2])))
for work in (speak, listen):
    threading.Thread(target=work, args=(sock,), daemon=work is speak).start()
