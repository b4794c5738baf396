import socket

from core.serving.nodelay import set_nodelay


def test_connections_made_later_send_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as client, listening.accept()[0] as before:
            assert not before.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert set_nodelay() >= 3
            for one in (listening, client, before):
                assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as after:
            assert after.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
