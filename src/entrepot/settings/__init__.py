"""The frozen settings of a node: read once, checked whole, and able to say where each value comes from."""

from __future__ import annotations

from entrepot.settings.catalogue import (
    SettingDocumentation,
    SettingField,
    SettingValue,
    flatten_settings,
    setting_documentation,
    setting_fields,
    show_value,
)
from entrepot.settings.derived import (
    audit_directory,
    first_password_file,
    http_listen,
    metadata_path,
    metadata_url,
    ops_listen,
    public_url,
    storage_root,
    suspicion_marker,
    uses_postgresql,
    uses_tls,
)
from entrepot.settings.errors import SettingsError
from entrepot.settings.handover import (
    changed_keys,
    dump_settings,
    parse_dumped_settings,
    read_settings_file,
    write_settings_file,
)
from entrepot.settings.limits import LimitSettings
from entrepot.settings.listen import ListenAddress, parse_listen
from entrepot.settings.loading import LoadedSettings, load_settings
from entrepot.settings.secret import Secret
from entrepot.settings.sources import Origin
from entrepot.settings.store_address import (
    BucketAddress,
    DirectoryAddress,
    StoreAddress,
    parse_store_address,
)
from entrepot.settings.tree import (
    AccessSettings,
    BackupS3Settings,
    BackupSettings,
    CacheSettings,
    DataSettings,
    HttpSettings,
    LogSettings,
    MetadataSettings,
    OpsSettings,
    RegistrySettings,
    S3Settings,
    Settings,
    StorageSettings,
    TlsSettings,
    UploadSettings,
    VerifySettings,
)

__all__ = [
    "AccessSettings",
    "BackupS3Settings",
    "BackupSettings",
    "BucketAddress",
    "CacheSettings",
    "DataSettings",
    "DirectoryAddress",
    "HttpSettings",
    "LimitSettings",
    "ListenAddress",
    "LoadedSettings",
    "LogSettings",
    "MetadataSettings",
    "OpsSettings",
    "Origin",
    "RegistrySettings",
    "S3Settings",
    "Secret",
    "SettingDocumentation",
    "SettingField",
    "SettingValue",
    "Settings",
    "SettingsError",
    "StorageSettings",
    "StoreAddress",
    "TlsSettings",
    "UploadSettings",
    "VerifySettings",
    "audit_directory",
    "changed_keys",
    "dump_settings",
    "first_password_file",
    "flatten_settings",
    "http_listen",
    "load_settings",
    "metadata_path",
    "metadata_url",
    "ops_listen",
    "parse_dumped_settings",
    "parse_listen",
    "parse_store_address",
    "public_url",
    "read_settings_file",
    "setting_documentation",
    "setting_fields",
    "show_value",
    "storage_root",
    "suspicion_marker",
    "uses_postgresql",
    "uses_tls",
    "write_settings_file",
]
