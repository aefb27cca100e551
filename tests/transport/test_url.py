"""Server URLs: what is accepted, and how the rest is refused."""

from __future__ import annotations

import math
import ssl

import pytest
from redis.connection import parse_url

from docket.errors import BadUrl
from docket.transport import Client, parse


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://localhost:6379/0",
        "redis://example.org/3",
        "redis://example.org:7000?db=4",
        "redis://example.org/3?db=4",
        "redis://user:pass@example.org",
        "redis://:p%40ss@example.org",
        "redis://user@example.org",
        "redis://[::1]:6380/1",
        "redis://h?socket_timeout=1.5&socket_connect_timeout=2&client_name=me",
        "redis://h?username=u&password=p",
        "rediss://h:6380/2?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=2",
        "unix://user:pass@/run/redis%20dir.sock",
    ],
)
def test_urls_mean_what_they_mean_to_redis_py(url: str) -> None:
    expected, address = parse_url(url), parse(url)
    assert address.db == expected.get("db", 0)
    assert address.username == expected.get("username")
    assert address.password == expected.get("password")
    assert address.client_name == expected.get("client_name")
    assert address.path == expected.get("path")
    if address.path is None:
        assert address.host == expected.get("host", "localhost")
        assert address.port == expected.get("port", 6379)
    assert address.socket_timeout == expected.get("socket_timeout", 30)
    assert address.connect_timeout == expected.get("socket_connect_timeout", 10)
    assert (address.tls is not None) == url.startswith("rediss")


def test_valkey_urls_are_redis_urls() -> None:
    assert parse("valkey://h:7000/1").port == 7000
    assert parse("valkey://h:7000/1").tls is None
    assert parse("valkeys://h:7000/1").tls is not None


def test_a_memory_url_names_a_server_in_this_process() -> None:
    assert parse("memory://").memory == ""
    assert parse("memory://name").memory == "name"
    assert parse("memory://name").memory != parse("memory://Name").memory
    assert Client.from_url("memory://name").is_memory
    assert not Client.from_url("redis://name").is_memory


def test_tls_options_are_read() -> None:
    tls = parse(
        "rediss://h?ssl_cert_reqs=optional&ssl_check_hostname=false&ssl_ca_certs=a&ssl_certfile=b&ssl_keyfile=c"
        "&ssl_password=d&ssl_min_version=TLSv1.3&ssl_ca_path=e&ssl_ca_data=f&ssl_ciphers=g"
    ).tls
    assert tls is not None
    assert tls.cert_reqs is ssl.CERT_OPTIONAL
    assert tls.min_version is ssl.TLSVersion.TLSv1_3
    assert not tls.check_hostname
    assert (tls.ca_certs, tls.certfile, tls.keyfile, tls.password) == ("a", "b", "c", "d")
    assert (tls.ca_path, tls.ca_data, tls.ciphers) == ("e", "f", "g")
    assert parse("rediss://h?ssl_min_version=771").tls == parse("rediss://h?ssl_min_version=1.2").tls


def test_a_sentinel_url_names_sentinels_a_service_and_a_database() -> None:
    address = parse(
        "rediss+sentinel://us%20er:p%40ss@one:26380,two,[::1]:5/my%2Fservice/3"
        "?sentinel_username=watch&sentinel_password=s%26p&socket_timeout=2&ssl_cert_reqs=none"
    )
    assert address.hosts == (("one", 26380), ("two", 26379), ("::1", 5))
    assert (address.service, address.db) == ("my/service", 3)
    assert (address.username, address.password) == ("us er", "p@ss")
    assert (address.sentinel_username, address.sentinel_password) == ("watch", "s&p")
    assert address.socket_timeout == 2
    assert address.tls is not None
    assert str(address) == "'my/service' of sentinel one:26380, two:26379, [::1]:5"
    assert parse("redis+sentinel://h/service").db == 0
    assert parse("redis+sentinel://h/service/?db=4").db == 4


def test_the_sentinels_get_credentials_of_their_own_and_no_database() -> None:
    address = parse("redis+sentinel://user:pass@h/service/3?sentinel_password=other")
    sentinel, server = address.sentinel("h", 26379), address.at("s", 6379)
    assert (sentinel.username, sentinel.password, sentinel.db) == (None, "other", 0)
    assert (server.username, server.password, server.db) == ("user", "pass", 3)


def test_a_cluster_url_names_nodes_to_begin_with() -> None:
    address = parse("rediss+cluster://user:pass@one,two:7000/0?ssl_cert_reqs=none")
    assert address.is_cluster
    assert address.hosts == (("one", 6379), ("two", 7000))
    assert (address.username, address.password) == ("user", "pass")
    assert address.tls is not None
    assert str(address) == "the cluster of one:6379, two:7000"
    assert not parse("redis://one").is_cluster


def test_no_timeout_may_be_asked_for() -> None:
    assert parse("redis://h?socket_timeout=none").socket_timeout == math.inf


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("", "scheme"),
        ("localhost:6379", "scheme"),
        ("http://h", "http://.*redis://, rediss://, unix://, valkey://, valkeys://, memory://, redis"),
        ("redis+cluster+sentinel://h/s", "through a cluster or through sentinels, not both"),
        ("valkey+cluster://h", r"unknown scheme.*redis\+cluster://"),
        ("redis://h1,redis://h2", "one scheme stands in front of all hosts"),
        ("redis+sentinel://h1,redis+sentinel://h2/s", "one scheme stands in front of all hosts"),
        ("redis://h1,h2", "several hosts"),
        ("redis+cluster://", r"no host; write redis\+cluster://"),
        ("redis+cluster://h:port", "port is 1 to 65535"),
        ("redis+cluster://h:1,h:0", "port is 1 to 65535"),
        ("redis+cluster://h/3", r"database 0 only; write redis\+cluster://"),
        ("redis+cluster://h?db=3", "database 0 only"),
        ("redis+cluster://h/0/1", "path is too long"),
        ("redis+cluster://h?sentinel_password=p", r"'sentinel_password' needs redis\+sentinel://"),
        ("redis+cluster://h?ssl_ca_certs=file", r"'ssl_ca_certs' needs rediss\+cluster://"),
        ("redis+sentinel://", "no host"),
        ("redis+sentinel:///service", r"no host; write redis\+sentinel://"),
        ("redis+sentinel://h", r"name of the service is missing; write redis\+sentinel://.*/service"),
        ("redis+sentinel://h/", "name of the service is missing"),
        ("redis+sentinel://h?socket_timeout=1", "name of the service is missing"),
        ("redis+sentinel://h,/service", "port is 1 to 65535"),
        ("redis+sentinel://h:1:2/service", "port is 1 to 65535"),
        ("redis+sentinel://h/service/zero", "number of a database.*'zero'"),
        ("redis+sentinel://h/service/1/2", "path is too long"),
        ("redis+sentinel://h/service?sentinel=1", "unknown option 'sentinel'.*sentinel_password"),
        ("redis://h:port", "port is 1 to 65535"),
        ("redis://h:70000", "port is 1 to 65535"),
        ("redis://h:0", "port is 1 to 65535"),
        ("redis://h/zero", "number of a database.*'zero'"),
        ("redis://h?db=-1", "'db' takes the number of a database"),
        ("redis://h?keep", "option 'keep' needs memory://"),
        ("memory://h?keep=maybe", "option 'keep' takes true or false"),
        ("redis://h?sockettimeout=1", "unknown option 'sockettimeout'.*socket_timeout"),
        ("redis://h?socket_timeout=soon", "'socket_timeout' takes seconds"),
        ("redis://h?socket_connect_timeout=0", "'socket_connect_timeout' takes seconds, more than 0"),
        ("redis://h?max_connections=0", "'max_connections' takes a number, 1 or more"),
        ("redis://h?socket_keepalive=perhaps", "'socket_keepalive' takes true or false"),
        ("redis://h?protocol=4", "'protocol' takes 2 or 3"),
        ("redis://h?decode_responses=true", "'decode_responses' takes false"),
        ("redis://h?ssl_ca_certs=file", "'ssl_ca_certs' needs rediss://"),
        ("rediss://h?ssl_cert_reqs=maybe", "'ssl_cert_reqs' takes none, optional or required"),
        ("rediss://h?ssl_min_version=SSLv3", "'ssl_min_version' takes TLSv1.2 or TLSv1.3"),
        ("rediss://h?ssl_ca_certs=/no/such/file", "ssl_ca_certs"),
        ("rediss://h?ssl_certfile=/no/such/file", "ssl_certfile"),
        ("unix://", "path of the socket"),
    ],
)
def test_a_bad_url_is_refused_by_name_before_anything_connects(url: str, names: str) -> None:
    with pytest.raises(BadUrl, match=names) as refused:
        Client.from_url(url)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@h:port",
        "secret@h",
        "redis://u:secret@h?no=1",
        "x://:secret@h",
        "redis+sentinel://u:secret@h:port/s",
        "redis+sentinel://u:secret,h/s",
        "redis+sentinel://u:secret@h/s/x?sentinel_password=secret",
        "redis+cluster://:secret@h/3",
    ],
)
def test_no_message_repeats_a_password(url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        Client.from_url(url)
    assert "secret" not in str(refused.value)


def test_nothing_printed_holds_a_password() -> None:
    for url in (
        "rediss://user:secret@h?ssl_password=secret&ssl_cert_reqs=none",
        "rediss+cluster://user:secret@h?ssl_password=secret&ssl_cert_reqs=none",
        "redis+sentinel://user:secret@h/service?sentinel_password=secret",
    ):
        client = Client.from_url(url)
        assert "secret" not in f"{client!r} {client.address!r} {client.address}"


def test_options_of_redis_py_s_pool_and_retries_are_accepted_without_effect() -> None:
    assert parse("redis://h?health_check_interval=10&retry_on_timeout=true&protocol=3") == parse("redis://h")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://caf\udce9:1/0", r"'caf\\udce9' cannot be the name of a host"),
        ("redis://user:caf\udce9@h", "the password has a character that UTF-8 cannot hold"),
        ("redis://caf\udce9:x@h", "the username has a character that UTF-8 cannot hold"),
        ("redis://h?client_name=caf\udce9", "the client_name has a character that UTF-8 cannot hold"),
        ("redis+sentinel://h/caf\udce9", "the service has a character that UTF-8 cannot hold"),
        ("redis+cluster://a,caf\udce9", r"'caf\\udce9' cannot be the name of a host"),
        ("redis://" + "ü" * 64, "cannot be the name of a host"),
        ("redis://" + "a" * 64, "cannot be the name of a host"),
        ("redis://a..b", "cannot be the name of a host"),
        ("redis://h?db=99999999999999999999", "option 'db' takes the number of a database"),
        ("redis://a%00b", r"'a\\x00b' cannot be the name of a host"),
        ("redis://h/99999999999999999999", "the path is the number of a database"),
        ("redis://h/" + "9" * 5000, "the path is the number of a database"),
    ],
)
def test_text_that_cannot_be_sent_is_refused(url: str, said: str) -> None:
    with pytest.raises(BadUrl, match=said) as raised:
        parse(url)
    assert "caf" not in str(raised.value) or "@" not in url  # no part of a password


def test_the_path_of_a_socket_may_be_any_that_the_system_gives() -> None:
    assert parse("unix:///run/caf\udce9.sock").path == "/run/caf\udce9.sock"


@pytest.mark.parametrize("host", ["localhost", "münchen.example", "10.0.0.1", "[::1]", "a_b", "h."])
def test_hosts_that_a_resolver_takes(host: str) -> None:
    assert parse(f"redis://{host}:7000").host == host.strip("[]")
