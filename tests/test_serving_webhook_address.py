"""Where webhooks may go: hostile addresses, every one refused, and public ones, every one allowed."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.outbound.webhook_address import AddressError, Rules, check_address, is_public, read_url

HOSTILE = [
    # not https, or no URL
    "",
    "hooks.example.com",
    "//hooks.example.com/x",
    "http://hooks.example.com/",
    "HTTP://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "gopher://hooks.example.com:70/_x",
    "javascript:alert(1)",
    "https:hooks.example.com",
    "https://",
    "https:///path",
    "https://:443/",
    # this machine
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://127.0.0.1/",
    "https://127.1.2.3/",
    "https://0.0.0.0/",
    "https://[::1]/",
    "https://[::]/",
    "https://[0:0:0:0:0:0:0:1]/",
    # this machine in disguise
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.1./",
    "https://127.0.0.0x1/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:53aa:64c:0:0:80ff:fffe]/",
    "https://①②⑦.0.0.1/",
    "https://127。0。0。1/",
    "https://%31%32%37.0.0.1/",
    # its network
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://169.254.1.1/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[fec0::1]/",
    "https://router/",
    "https://printer.local/",
    "https://db.internal/",
    "https://nas.lan/",
    # clouds
    "https://169.254.169.254/latest/meta-data/",
    "https://[::ffff:169.254.169.254]/",
    "https://[fd00:ec2::254]/",
    "https://metadata.google.internal/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    # nobody, or many
    "https://255.255.255.255/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[100::1]/",
    # user names, ports, and what confuses readers of URLs
    "https://user@hooks.example.com/",
    "https://user:pass@hooks.example.com/",
    "https://@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:80/",
    "https://hooks.example.com:0/",
    "https://hooks.example.com:65536/",
    "https://hooks.example.com:-1/",
    "https://hooks.example.com:４４３/",
    "https://hooks.example.com#@127.0.0.1/",
    "https://hooks.example.com\\@127.0.0.1/",
    "https://hooks.example.com\r\nHost: x/",
    "https://hooks.example.com/a b",
    "https://hooks.example.com/\x00",
    "https://hooks..example.com/",
    "https://-hooks.example.com/",
    "https://hooks_example..com/",
    "https://[::1/",
    "https://[hooks.example.com]/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/",
    "https://hooks.example.com/" + "x" * 2048,
]
PUBLIC = [
    ("https://hooks.example.com", "hooks.example.com", 443, "/"),
    ("https://hooks.example.com:8443/in?token=a%20b&x=1", "hooks.example.com", 8443, "/in?token=a%20b&x=1"),
    ("https://xn--bcher-kva.example/x", "xn--bcher-kva.example", 443, "/x"),
    ("https://93.184.215.14/", "93.184.215.14", 443, "/"),
    ("https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443, "/"),
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        read_url(url, Rules())
    assert len(url) < 12 or url not in str(refused.value)


def test_the_list_of_hostile_addresses_is_long_enough() -> None:
    assert len(set(HOSTILE)) >= 90


@pytest.mark.parametrize(("url", "host", "port", "path"), PUBLIC)
def test_a_public_address_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    target = read_url(url, Rules())
    assert (target.scheme, target.host, target.port, target.path) == ("https", host, port, path)


def test_the_connection_goes_to_an_address_and_the_name_stays_in_the_header() -> None:
    target = read_url("https://hooks.example.com:8443/in?a=1", Rules())
    assert target.at("93.184.215.14") == "https://93.184.215.14:8443/in?a=1"
    assert target.at("2606:2800::1") == "https://[2606:2800::1]:8443/in?a=1"
    assert target.authority == "hooks.example.com:8443"
    assert read_url("https://hooks.example.com/", Rules()).authority == "hooks.example.com"


def test_for_development_everything_is_allowed_but_nonsense() -> None:
    rules = Rules(allows_private=True)
    assert read_url("http://127.0.0.1:5000/x", rules).at("127.0.0.1") == "http://127.0.0.1:5000/x"
    assert read_url("http://localhost/", rules).authority == "localhost"
    for url in ("file:///etc/passwd", "http://u:p@localhost/", "http://2130706433/"):
        with pytest.raises(AddressError):
            read_url(url, rules)


@given(st.ip_addresses(v=4))
def test_an_address_counts_alike_however_it_is_wrapped(address: ipaddress.IPv4Address) -> None:
    assert not is_public(f"::ffff:{address}")
    assert is_public(str(address)) <= address.is_global


@given(
    st.ip_addresses(network="10.0.0.0/8")
    | st.ip_addresses(network="fc00::/7")
    | st.ip_addresses(network="127.0.0.0/8")
)
def test_no_private_address_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    with pytest.raises(AddressError):
        check_address(str(address), Rules())


def test_what_a_resolver_makes_of_numbers_is_why_they_are_refused() -> None:
    (found, *_) = socket.getaddrinfo("2130706433", 443, type=socket.SOCK_STREAM)
    assert found[4][0] == "127.0.0.1"
