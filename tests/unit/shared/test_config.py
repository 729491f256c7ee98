"""The configuration is strict, and says which key."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from infosec.certificates import Authority
from infosec.config import Address, Config, default_data_dir, parse_address
from infosec.errors import Misconfigured, Reason
from infosec.private_files import write_private


def written(folder: Path, text: str) -> Config:
    path = folder / "infosec.toml"
    path.write_text(text, "utf-8")
    return Config.load(path)


def refused(folder: Path, text: str) -> Misconfigured:
    with pytest.raises(Misconfigured) as error:
        written(folder, text).check()
    assert error.value.reason is Reason.CONFIGURATION
    return error.value


@pytest.fixture
def tls(tmp_path: Path) -> str:
    authority = Authority.create_or_load(tmp_path / "tls", carrier="carrier.example", now=datetime.now(UTC))
    authority.issue_service("auth", now=datetime.now(UTC))
    return '[tls]\nca = "tls/ca.pem"\ncert = "tls/service-auth.pem"\nkey = "tls/service-auth.key"\n'


def test_no_file_is_the_embedded_default_on_loopback() -> None:
    config = Config.load()
    config.check()
    assert str(config.server.listen) == "127.0.0.1:7443"
    assert config.server.metrics_listen is None
    assert config.postgres is None
    assert config.redis.mode == "embedded"
    assert config.profile.name == "telecom-hall"
    assert config.callers.allowed("LoginService") == frozenset()


def test_a_whole_file_is_read(tmp_path: Path, tls: str) -> None:
    for name in ("pg-admin", "pg-auth", "redis"):
        write_private(tmp_path / name, f"{name}-password\n".encode())
    config = written(
        tmp_path,
        """
[server]
listen = "0.0.0.0:7443"
metrics_listen = "[::1]:9464"
data_dir = "data"
carrier = "carrier.example"
[postgres]
host = "db.example"
dbname = "infosec"
tls_ca = "tls/ca.pem"
admin_password_file = "pg-admin"
pool_max = 8
[postgres.role_password_files]
auth_service = "pg-auth"
[redis]
host = "redis.example"
password_file = "redis"
tls_ca = "tls/ca.pem"
[hashing]
memory_kib = 19456
workers = 2
[callers.allow]
LoginService = ["billing", "system/crm"]
CheckService = ["service/notify"]
[log]
level = "debug"
[notify]
gateway = "smpp"
"""
        + tls,
    )
    config.check()
    assert config.server.listen == Address(host="0.0.0.0", port=7443)
    assert config.server.keys_dir == tmp_path / "data" / "keys"
    assert config.postgres is not None
    assert config.postgres.admin_password().reveal() == "pg-admin-password"
    assert config.postgres.role_password("auth_service").reveal() == "pg-auth-password"
    with pytest.raises(Misconfigured, match="notify_service"):
        config.postgres.role_password("notify_service")
    assert config.redis.mode == "external"
    assert config.callers.allowed("LoginService") == {"system/billing", "system/crm"}
    assert config.callers.allowed("CheckService") == {"service/notify"}
    assert config.tls is not None
    assert config.tls.files.key == tmp_path / "tls" / "service-auth.key"


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Config.load().server.carrier = "x"


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('[server]\nlistn = "127.0.0.1:1"', "server.listn", "did you mean listen?"),
        ('[serverr]\nlisten = "127.0.0.1:1"', "serverr", "did you mean server?"),
        ('[postgres]\nhost = "localhost"\npassword = "x"', "postgres.password", ""),
        ('[server]\nlisten = "7443"', "server.listen", ""),
        ('[server]\nlisten = "::1:7443"', "server.listen", ""),
        ('[server]\nlisten = "127.0.0.1:70000"', "server.listen", ""),
        ("[postgres]\nport = 5432", "postgres.host", ""),
        ('[postgres]\nhost = "h"\nport = "5432"', "postgres.port", ""),
        ('[log]\nlevel = "loud"', "log.level", ""),
        ("[hashing]\ntime_cost = 0", "hashing.time_cost", ""),
        ("[redis]\nenabled = 1", "redis.enabled", ""),
        ('[callers]\nallow = {LoginService = ["staff/1"]}', "callers", ""),
        ('[tls]\nca = "ca.pem"', "tls.cert", ""),
        ('[server]\ncarrier = "Not A Domain"', "server.carrier", ""),
        ('[server]\nlisten = "0.0.0.0:7443"', "server.listen", "tls.ca"),
        ('[server]\nlisten = "host.example:7443"', "server.listen", "tls.ca"),
        ('[server]\nmetrics_listen = "[::]:9464"', "server.metrics_listen", "tls.ca"),
        ('[postgres]\nhost = "db.example"', "postgres.tls_ca", ""),
        ('[redis]\nhost = "redis.example"', "redis.tls_ca", ""),
        ('[redis]\nhost = "localhost"\npassword_file = "none"', "redis.password_file", ""),
        ('[tls]\nca = "a"\ncert = "b"\nkey = "c"', "tls", ""),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, key: str, hint: str) -> None:
    error = refused(tmp_path, text)
    assert error.details["key"] == key
    assert hint in error.details["hint"]


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    error = refused(tmp_path, '[server]\nlistn = 1\n[log]\nlevel = "loud"\n')
    assert len(error.violations) == 2


@pytest.mark.rule("ID-7")
def test_a_password_written_into_the_file_is_not_repeated(tmp_path: Path) -> None:
    for text in ('[postgres]\nhost="h"\npassword = "marker-9f2c"', '[log]\nlevel = "marker-9f2c"', "marker-9f2c = = 1"):
        error = refused(tmp_path, text)
        assert "marker-9f2c" not in f"{error} {error.violations}"
        assert error.__suppress_context__


def test_a_cheap_hash_stays_on_loopback(tmp_path: Path, tls: str) -> None:
    text = '[server]\nlisten = "0.0.0.0:7443"\n[hashing]\nmemory_kib = 1024\n' + tls
    assert refused(tmp_path, text).details["key"] == "hashing.memory_kib"
    written(tmp_path, text.replace("0.0.0.0", "127.0.0.1")).check()


@pytest.mark.parametrize(("memory", "passes", "below"), [(19456, 2, False), (47104, 1, False), (19456, 1, True)])
def test_owasps_floor_is_known(memory: int, passes: int, below: bool) -> None:
    config = Config.from_mapping({"hashing": {"memory_kib": memory, "time_cost": passes}})
    assert config.hashing.is_below_owasp is below


def test_secrets_open_to_others_are_refused_before_a_socket_opens(tmp_path: Path) -> None:
    write_private(tmp_path / "pg", b"x\n")
    (tmp_path / "pg").chmod(0o644)
    error = refused(tmp_path, '[postgres]\nhost = "/run/pg"\nrole_password_files = {auth_service = "pg"}')
    assert error.details["key"] == "postgres.role_password_files.auth_service"
    assert "chmod 600" in error.details["hint"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as error:
        Config.load(tmp_path / "none.toml")
    assert error.value.details["path"].endswith("none.toml")


def test_the_data_directory_follows_the_environment() -> None:
    assert default_data_dir({"INFOSEC_HOME": "/srv/infosec", "XDG_DATA_HOME": "/x"}) == Path("/srv/infosec")
    assert default_data_dir({"XDG_DATA_HOME": "/x"}) == Path("/x/infosec")
    assert default_data_dir({"XDG_DATA_HOME": "relative"}) == Path.home() / ".local/share/infosec"


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:7443", "localhost:7443", "10.0.0.1:1"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_address(text)) == text
    assert parse_address(text).is_loopback is not text.startswith("10.")
