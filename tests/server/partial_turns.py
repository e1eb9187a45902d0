"""The first chat of all: one loop that reads once and then speaks once, so each side waits for its turn."""

import sys
from socket import AF_INET, SOCK_STREAM, socket

sock = socket(AF_INET, SOCK_STREAM)
sock.connect((sys.argv[1], int(sys.argv[2])))
while True:
    data = sock.recv(1024)
    print("peer :", data.decode("utf-8"))
    answer = input()
    sock.send(answer.encode("utf-8"))
