"""Addresses that a sink may call without being told so, and those that it may not."""

import pytest

from sinks.addresses import is_public


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "2606:4700::1111",
     "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_addresses_of_the_public_internet_are_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "::1", "0.0.0.0", "::"),  # noqa: S104 - this machine
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fc00::1", "fec0::1"),  # a private net
        *("169.254.0.1", "fe80::1", "fe80::1%eth0"),  # this link
        *("224.0.0.1", "239.1.1.1", "ff02::1", "255.255.255.255"),  # many at once
        *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),  # metadata of clouds
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),  # the same as IPv6
        *("2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),  # through a tunnel
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "240.0.0.1", "2001:db8::1", "100::1"),  # nobody's
    ],
)
def test_all_others_are_not(address: str) -> None:
    assert not is_public(address)
