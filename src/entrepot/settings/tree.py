"""The settings themselves: a frozen typed tree, where each field has its meaning and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from entrepot.settings.audit import AuditSettings
from entrepot.settings.backup import BackupS3Settings, BackupSettings
from entrepot.settings.identity import (
    AdminSettings,
    LockoutSettings,
    PasswordSettings,
    SecretsSettings,
    SessionSettings,
    TokenSettings,
)
from entrepot.settings.limits import LimitSettings
from entrepot.settings.secret import Secret
from entrepot.settings.section import Section, Setting
from entrepot.settings.verify import VerifySettings

__all__ = [
    "AccessSettings",
    "AdminSettings",
    "AuditSettings",
    "BackupS3Settings",
    "BackupSettings",
    "CacheSettings",
    "DataSettings",
    "HousekeepingSettings",
    "HttpSettings",
    "LimitSettings",
    "LockoutSettings",
    "LogSettings",
    "MetadataSettings",
    "OpsSettings",
    "PasswordSettings",
    "RegistrySettings",
    "S3Settings",
    "SecretsSettings",
    "SessionSettings",
    "Setting",
    "Settings",
    "StorageSettings",
    "TlsSettings",
    "TokenSettings",
    "UploadSettings",
    "VerifySettings",
]

_KIB = 1024
_MIB = 1024 * _KIB
_GIB = 1024 * _MIB
_DAY_SECONDS = 86400
_HOUR_SECONDS = 3600


class DataSettings(Section, frozen=True):
    """Where this node keeps what is its own."""

    directory: Annotated[
        Path,
        Setting(
            "Absolute path of the directory that holds everything local: database, blobs, uploads under way.",
            "The usual place for a service's state; as an ordinary user, that user's own data directory.",
        ),
    ]


class HttpSettings(Section, frozen=True):
    """The listener that clients push to and pull from."""

    listen: Annotated[
        str,
        Setting(
            "Address and port for clients, as 127.0.0.1:5000 or [::]:5000.",
            "Loopback: nothing is offered to a network before someone decides so.",
        ),
    ] = "127.0.0.1:5000"
    external_url: Annotated[
        str,
        Setting(
            "Scheme, host and port under which clients reach this registry, if a proxy stands in front.",
            "Empty: what a request says. Clients fetch tokens there, so a proxy that encrypts needs it set to https://.",
            reloadable=True,
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Setting(
            "Addresses and networks of the proxies whose X-Forwarded-For is believed, as 127.0.0.1, 10.0.0.0/28.",
            "Empty: anybody can write that header. Only with it clients behind a proxy are told apart.",
        ),
    ] = ""
    drain_delay_seconds: Annotated[
        float,
        Setting(
            "How long a stopping node says it is not ready before it closes its listener.",
            "0: without a load balancer waiting helps nobody; with one, set two of its probe intervals.",
            reloadable=True,
            minimum=0,
            maximum=600,
        ),
    ] = 0.0
    drain_timeout_seconds: Annotated[
        float,
        Setting(
            "How long requests under way may go on after the listener is closed.",
            "30 s ends most layers; a longer upload is resumed by its client on another node.",
            minimum=1,
            maximum=3600,
        ),
    ] = 30.0


class OpsSettings(Section, frozen=True):
    """The listener for health, readiness and metrics."""

    listen: Annotated[
        str,
        Setting(
            "Address and port for health, readiness and metrics.",
            "Empty: 127.0.0.1 and the public port plus 80, so that no network sees the metrics.",
        ),
    ] = ""


class TlsSettings(Section, frozen=True):
    """Encryption of the public listener."""

    certificate: Annotated[
        str,
        Setting(
            "Absolute path of the certificate chain (PEM); its content is read again on SIGHUP.",
            "Empty: no TLS, which clients accept on loopback and behind a proxy that encrypts.",
        ),
    ] = ""
    key: Annotated[
        str,
        Setting(
            "Absolute path of the private key (PEM, without a password) of tls.certificate.",
            "Empty: no TLS.",
        ),
    ] = ""
    min_version: Annotated[
        Literal["1.2", "1.3"],
        Setting(
            "Oldest TLS version a client may speak.",
            "1.2: some build hosts in use speak nothing newer, and older versions are broken.",
        ),
    ] = "1.2"


class MetadataSettings(Section, frozen=True):
    """The database of repositories, manifests, tags and uploads."""

    url: Annotated[
        Secret,
        Setting(
            "postgresql:// address of the database; may hold a password and is masked in listings.",
            "Empty: SQLite in the data directory, which needs no server and serves one node well.",
        ),
    ] = Secret()
    pool_size: Annotated[
        int,
        Setting(
            "PostgreSQL connections per process, at most; a node has three processes.",
            "10: a few times the cores that one process can keep busy; three nodes fit PostgreSQL's default of 100.",
            minimum=1,
            maximum=500,
        ),
    ] = 10
    statement_timeout_seconds: Annotated[
        float,
        Setting(
            "Longest time one PostgreSQL statement may take.",
            "5 s: each statement reads by key; one that takes longer would hold up all others.",
            minimum=0.1,
            maximum=600,
        ),
    ] = 5.0


class S3Settings(Section, frozen=True):
    """The object store, when storage.driver is s3."""

    endpoint: Annotated[
        str,
        Setting("http(s):// address of the object store.", "Empty: Amazon's own for the region."),
    ] = ""
    region: Annotated[
        str,
        Setting("Region that requests are signed for.", "us-east-1: what stores without regions expect."),
    ] = "us-east-1"
    bucket: Annotated[
        str,
        Setting("Bucket that holds the blobs; it must exist.", "Empty: none can be guessed."),
    ] = ""
    prefix: Annotated[
        str,
        Setting(
            "Text put before every key, ending with a slash, as registry/ to share a bucket.",
            "Empty: a bucket of its own is easier to watch and to restrict.",
        ),
    ] = ""
    access_key: Annotated[
        str,
        Setting("Access key id.", "Empty: credentials are found the way the AWS tools find them."),
    ] = ""
    secret_key: Annotated[
        Secret,
        Setting("Secret access key of storage.s3.access_key.", "Empty: see storage.s3.access_key."),
    ] = Secret()
    path_style: Annotated[
        bool,
        Setting(
            "Put the bucket in the path rather than in the host name.",
            "true: SeaweedFS, Ceph and others work without wildcard DNS; Amazon accepts it too.",
        ),
    ] = True
    part_size_bytes: Annotated[
        int,
        Setting(
            "Size of one part of a multipart upload; it grows by itself for blobs of more than 10,000 parts.",
            "8MiB: few requests, while each upload holds little memory.",
            minimum=5 * _MIB,
            maximum=5 * _GIB,
        ),
    ] = 8 * _MIB
    redirect_downloads: Annotated[
        bool,
        Setting(
            "Answer a pull of a blob with a redirect to the object store.",
            "false: clients often can't reach the store, and its address stays private.",
            reloadable=True,
        ),
    ] = False


class StorageSettings(Section, frozen=True):
    """Where the bytes of blobs lie."""

    driver: Annotated[
        Literal["filesystem", "s3"],
        Setting("Kind of blob store.", "filesystem: nothing else to run."),
    ] = "filesystem"
    root: Annotated[
        str,
        Setting(
            "Absolute path of the blobs, when storage.driver is filesystem.",
            "Empty: storage below data.directory.",
        ),
    ] = ""
    min_free_bytes: Annotated[
        int,
        Setting(
            "Free space below which uploads are refused (507); deletes and metadata go on.",
            "1GiB: room for the database and for cleaning up when pushes have filled the disk.",
            reloadable=True,
            minimum=0,
        ),
    ] = 1 * _GIB
    s3: S3Settings = S3Settings()


class UploadSettings(Section, frozen=True):
    """Uploads under way."""

    lease_seconds: Annotated[
        float,
        Setting(
            "How long an upload stays with the process that writes it without a sign of life.",
            "30 s: longer than any pause of a sound process, short enough for a client to retry elsewhere.",
            reloadable=True,
            minimum=5,
            maximum=3600,
        ),
    ] = 30.0
    session_ttl_seconds: Annotated[
        int,
        Setting(
            "How long an unfinished upload is kept after its last bytes.",
            "604800 (7 days): a push that broke on Friday can go on after the week-end; a slow one never runs out.",
            reloadable=True,
            minimum=60,
            maximum=365 * _DAY_SECONDS,
        ),
    ] = 7 * _DAY_SECONDS
    write_step_bytes: Annotated[
        int,
        Setting(
            "Bytes gathered before they are hashed and written off the event loop. What a client sends faster, "
            "without TLS and to a disk, is taken by a thread, 1 MiB at a time.",
            "1MiB: smaller steps spend more on changing threads, larger ones only hold more memory.",
            reloadable=True,
            minimum=64 * _KIB,
            maximum=64 * _MIB,
        ),
    ] = 1 * _MIB


class HousekeepingSettings(Section, frozen=True):
    """What the background worker clears away."""

    orphan_grace_seconds: Annotated[
        int,
        Setting(
            "How long bytes that no row of the database mentions stay in the blob store before they are removed.",
            "86400 (1 day): time to notice that an old copy of the database was restored, before bytes go.",
            reloadable=True,
            minimum=_HOUR_SECONDS,
            maximum=365 * _DAY_SECONDS,
        ),
    ] = _DAY_SECONDS
    orphan_sweep_period_seconds: Annotated[
        int,
        Setting(
            "Pause between two passes over the blob store that look for such bytes.",
            "21600 (6 hours): a pass lists the whole store once, and crashes that leave orphans are rare.",
            reloadable=True,
            minimum=60,
            maximum=30 * _DAY_SECONDS,
        ),
    ] = 6 * _HOUR_SECONDS


class AccessSettings(Section, frozen=True):
    """Who may do what, before anybody is known."""

    accounts: Annotated[
        bool,
        Setting(
            "Have people, robots and roles, and refuse everybody who is not known and allowed.",
            "true, unless access.insecure_anonymous is set. With false only this machine (loopback) is served.",
        ),
    ] = True
    insecure_anonymous: Annotated[
        bool,
        Setting(
            "Let everybody who can reach the listener push and pull without a name.",
            "false: without accounts only this machine (loopback) may.",
        ),
    ] = False


class RegistrySettings(Section, frozen=True):
    """What the registry as a whole accepts."""

    read_only: Annotated[
        bool,
        Setting(
            "Refuse every push and delete with 405; pulls go on.",
            "false: a registry is there to be pushed to; true during a move or an examination.",
            reloadable=True,
        ),
    ] = False
    allow_delete: Annotated[
        bool,
        Setting(
            "Let tags, manifests and blobs be deleted by clients; otherwise 405.",
            "true: whoever may delete decides; false where nothing that was ever pushed may vanish.",
            reloadable=True,
        ),
    ] = True
    sparse_indexes: Annotated[
        Literal["refuse", "accept"],
        Setting(
            "What to do with an index that lists what its repository does not have.",
            "refuse: whoever pulls an index can pull all of it; accept to copy single platforms of one.",
            reloadable=True,
        ),
    ] = "refuse"


class CacheSettings(Section, frozen=True):
    """Memory spent on not reading the same bytes again, per process."""

    small_blob_bytes: Annotated[
        int,
        Setting(
            "Memory for manifests and small blobs (image configurations), at most; 0 turns the cache off.",
            "32MiB: some thousands of images.",
            reloadable=True,
            minimum=0,
            maximum=64 * _GIB,
        ),
    ] = 32 * _MIB


class LogSettings(Section, frozen=True):
    """The log, written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Setting(
            "Least severity that is written.",
            "info: one line per request, nothing of the inside.",
            reloadable=True,
        ),
    ] = "info"
    format: Annotated[
        Literal["json", "console"],
        Setting(
            "json for machines, console for people.",
            "json: logs are mostly read by collectors.",
            reloadable=True,
        ),
    ] = "json"


class Settings(Section, frozen=True):
    """Every setting of one node. Only ``data.directory`` has no fixed default: it depends on the user."""

    data: DataSettings
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    ops: OpsSettings = OpsSettings()
    tls: TlsSettings = TlsSettings()
    metadata: MetadataSettings = MetadataSettings()
    storage: StorageSettings = StorageSettings()
    uploads: UploadSettings = UploadSettings()
    housekeeping: HousekeepingSettings = HousekeepingSettings()
    verify: VerifySettings = VerifySettings()
    access: AccessSettings = AccessSettings()
    admin: AdminSettings = AdminSettings()
    passwords: PasswordSettings = PasswordSettings()
    lockout: LockoutSettings = LockoutSettings()
    web_session: SessionSettings = SessionSettings()
    bearer_token: TokenSettings = TokenSettings()
    secrets: SecretsSettings = SecretsSettings()
    audit_log: AuditSettings = AuditSettings()
    registry: RegistrySettings = RegistrySettings()
    cache: CacheSettings = CacheSettings()
    log: LogSettings = LogSettings()
    backup: BackupSettings = BackupSettings()
