"""The group chat's client: bytes(input().encode()) goes out as it is, without an end of line, and each
recv(1024) is decoded and printed by itself."""

import sys
import socket
import threading


def send_all_typed(client_sock):
    while True:
        typed = bytes(input().encode())
        client_sock.send(typed)


def print_all_received(client_sock):
    while True:
        chunk = client_sock.recv(1024).decode()
        if chunk == "":
            break
        print(chunk)


client_sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client_sock.connect((sys.argv[1], int(sys.argv[2])))
sender = threading.Thread(target=send_all_typed, args=(client_sock,), daemon=True)
receiver = threading.Thread(target=print_all_received, args=(client_sock,))
sender.start()
receiver.start()
receiver.join()
