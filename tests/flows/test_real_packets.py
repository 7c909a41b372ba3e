"""92 datagrams of real exporters, valid and deliberately invalid: the outcome of each, pinned.

They are the test data of logstash-codec-netflow (Apache-2.0), read from the shared data sets and skipped where these are
absent. Alone, a data set without its template is refused as such; templates and their data are decoded together below.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_builders import NOW_NS

from inspectorate.mechanisms.interconnect.flows import DecodeReport, FlowDecoder, Irregularity, Rejection, all_records

pytestmark = pytest.mark.data

# Name, rows, templates installed, option records, data records without byte counts, rejections.
OUTCOMES = (
    ("ipfix", 6, 3, 1, 0, "trailing_bytes:1"),
    ("ipfix_test_barracuda_data256", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_barracuda_extended_uniflow_data256", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_barracuda_extended_uniflow_tpl256", 0, 1, 0, 0, ""),
    ("ipfix_test_barracuda_tpl", 0, 1, 0, 0, ""),
    ("ipfix_test_ixia_tpldata256", 1, 3, 0, 0, ""),
    ("ipfix_test_ixia_tpldata271", 2, 3, 0, 0, ""),
    ("ipfix_test_juniper_mx240_junos151r6s3_data512", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_juniper_mx240_junos151r6s3_opttpl512", 0, 1, 0, 0, ""),
    ("ipfix_test_mikrotik_data258", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_mikrotik_data259", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_mikrotik_tpl", 0, 2, 0, 0, ""),
    ("ipfix_test_netscaler_data", 0, 0, 0, 0, "unknown_template:4"),
    ("ipfix_test_netscaler_tpl", 0, 7, 0, 0, ""),
    ("ipfix_test_nokia_bras_data256", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_nokia_bras_tpl", 0, 2, 0, 0, ""),
    ("ipfix_test_openbsd_pflow_data", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_openbsd_pflow_tpl", 0, 2, 0, 0, ""),
    ("ipfix_test_procera_data52935", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_procera_tpl52935", 0, 1, 0, 0, ""),
    ("ipfix_test_viptela_data257", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_viptela_tpl257", 0, 1, 0, 0, ""),
    ("ipfix_test_vmware_vds_data264", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_vmware_vds_data266", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_vmware_vds_data266_267", 0, 0, 0, 0, "unknown_template:2"),
    ("ipfix_test_vmware_vds_tpl", 0, 13, 0, 0, ""),
    ("ipfix_test_yaf_data45841", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_yaf_data45873", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_yaf_data53248", 0, 0, 0, 0, "unknown_template:1"),
    ("ipfix_test_yaf_tpl45841", 0, 1, 0, 0, ""),
    ("ipfix_test_yaf_tpls_option_tpl", 0, 13, 0, 0, ""),
    ("netflow5", 2, 0, 0, 0, "trailing_bytes:1"),
    ("netflow5_test_invalid01", 30, 0, 0, 0, "truncated_record:1"),
    ("netflow5_test_invalid02", 30, 0, 0, 0, "truncated_record:1"),
    ("netflow5_test_juniper_mx80", 29, 0, 0, 0, ""),
    ("netflow5_test_microtik", 30, 0, 0, 0, ""),
    ("netflow9_cisco_asr1001x_tpl259", 25, 1, 0, 0, ""),
    ("netflow9_test_0length_fields_tpl_data", 10, 2, 0, 0, "wrong_count:1"),
    ("netflow9_test_cisco_1941K9", 29, 1, 0, 0, ""),
    ("netflow9_test_cisco_aci_data256", 0, 0, 0, 0, "unknown_template:3"),
    ("netflow9_test_cisco_aci_tpl256-258", 0, 3, 0, 0, ""),
    ("netflow9_test_cisco_asa_1_data", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_cisco_asa_1_tpl", 0, 13, 0, 0, ""),
    ("netflow9_test_cisco_asa_2_data", 0, 0, 0, 0, "unknown_template:9"),
    ("netflow9_test_cisco_asa_2_tpl_26x", 0, 16, 0, 0, ""),
    ("netflow9_test_cisco_asa_2_tpl_27x", 0, 14, 0, 0, ""),
    ("netflow9_test_cisco_asr9k_data256", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_cisco_asr9k_data260", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_cisco_asr9k_opttpl256", 0, 1, 0, 0, ""),
    ("netflow9_test_cisco_asr9k_opttpl257", 0, 1, 0, 0, ""),
    ("netflow9_test_cisco_asr9k_opttpl334", 0, 1, 0, 0, ""),
    ("netflow9_test_cisco_asr9k_tpl260", 0, 1, 0, 0, ""),
    ("netflow9_test_cisco_asr9k_tpl266", 0, 1, 0, 0, ""),
    ("netflow9_test_cisco_nbar_data262", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_cisco_nbar_opttpl260", 0, 1, 15, 0, ""),
    ("netflow9_test_cisco_nbar_tpl262", 0, 1, 0, 0, ""),
    ("netflow9_test_cisco_wlc_8510_tpl_262", 0, 4, 0, 0, ""),
    ("netflow9_test_cisco_wlc_data261", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_cisco_wlc_tpl", 0, 2, 0, 0, ""),
    ("netflow9_test_field_layer2segmentid_data", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_field_layer2segmentid_tpl", 0, 1, 0, 0, ""),
    ("netflow9_test_fortigate_fortios_521_data256", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_fortigate_fortios_521_data257", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_fortigate_fortios_521_tpl", 0, 5, 0, 0, "wrong_count:1"),
    ("netflow9_test_fortigate_fortios_542_appid_data258_262", 0, 0, 0, 0, "unknown_template:17"),
    ("netflow9_test_fortigate_fortios_542_appid_tpl258-269", 0, 14, 0, 0, "wrong_count:1"),
    ("netflow9_test_h3c_data3281", 0, 0, 0, 0, "unknown_template:16"),
    ("netflow9_test_h3c_netstream_varstring_data3281", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_h3c_netstream_varstring_tpl3281", 0, 1, 0, 0, ""),
    ("netflow9_test_h3c_tpl3281", 0, 1, 0, 0, ""),
    ("netflow9_test_huawei_netstream_data", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_huawei_netstream_tpl", 0, 1, 0, 0, ""),
    ("netflow9_test_invalid01", 2, 3, 1, 0, "wrong_count:1"),
    ("netflow9_test_iptnetflow_reduced_size_encoding_tpldata260", 12, 1, 0, 0, "unknown_template:6"),
    ("netflow9_test_juniper_srx_tplopt", 0, 2, 1, 0, ""),
    ("netflow9_test_macaddr_data", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_macaddr_tpl", 0, 3, 1, 0, "wrong_count:1"),
    ("netflow9_test_nprobe_data", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_nprobe_dpi", 1, 1, 0, 0, ""),
    ("netflow9_test_nprobe_tpl", 0, 3, 1, 0, "wrong_count:1"),
    ("netflow9_test_paloalto_81_data257_1flowset_in_large_zerofilled_packet", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_paloalto_81_tpl256-263", 0, 8, 0, 0, ""),
    ("netflow9_test_paloalto_panos_data", 0, 0, 0, 0, "unknown_template:8"),
    ("netflow9_test_paloalto_panos_tpl", 0, 8, 0, 0, ""),
    ("netflow9_test_softflowd_tpl_data", 7, 2, 0, 0, ""),
    ("netflow9_test_streamcore_tpl_data256", 2, 6, 0, 0, "wrong_count:1"),
    ("netflow9_test_streamcore_tpl_data260", 2, 6, 0, 0, "wrong_count:1"),
    ("netflow9_test_ubnt_edgerouter_data1024", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_ubnt_edgerouter_data1025", 0, 0, 0, 0, "unknown_template:1"),
    ("netflow9_test_ubnt_edgerouter_tpl", 0, 4, 0, 0, ""),
    ("netflow9_test_unknown_tpl266_292_data", 2, 4, 0, 0, ""),
    ("netflow9_test_valid01", 7, 2, 0, 0, ""),
)

PAIRS = (
    ("ipfix_test_barracuda_tpl", "ipfix_test_barracuda_data256", 8, 388),
    ("ipfix_test_barracuda_extended_uniflow_tpl256", "ipfix_test_barracuda_extended_uniflow_data256", 2, 0),
    ("ipfix_test_juniper_mx240_junos151r6s3_opttpl512", "ipfix_test_juniper_mx240_junos151r6s3_data512", 0, 0),
    ("ipfix_test_mikrotik_tpl", "ipfix_test_mikrotik_data258", 28, 95010),
    ("ipfix_test_mikrotik_tpl", "ipfix_test_mikrotik_data259", 18, 8225),
    ("ipfix_test_netscaler_tpl", "ipfix_test_netscaler_data", 3, 3106),
    ("ipfix_test_nokia_bras_tpl", "ipfix_test_nokia_bras_data256", 0, 0),
    ("ipfix_test_openbsd_pflow_tpl", "ipfix_test_openbsd_pflow_data", 26, 99323),
    ("ipfix_test_procera_tpl52935", "ipfix_test_procera_data52935", 0, 0),
    ("ipfix_test_viptela_tpl257", "ipfix_test_viptela_data257", 1, 775),
    ("ipfix_test_vmware_vds_tpl", "ipfix_test_vmware_vds_data264", 1, 100),
    ("ipfix_test_vmware_vds_tpl", "ipfix_test_vmware_vds_data266", 2, 458),
    ("ipfix_test_vmware_vds_tpl", "ipfix_test_vmware_vds_data266_267", 2, 248),
    ("ipfix_test_yaf_tpl45841", "ipfix_test_yaf_data45841", 2, 332),
    ("ipfix_test_yaf_tpls_option_tpl", "ipfix_test_yaf_data45873", 2, 264),
    ("ipfix_test_yaf_tpls_option_tpl", "ipfix_test_yaf_data53248", 0, 0),
    ("netflow9_test_cisco_aci_tpl256-258", "netflow9_test_cisco_aci_data256", 3, 297),
    ("netflow9_test_cisco_asa_1_tpl", "netflow9_test_cisco_asa_1_data", 14, 888),
    ("netflow9_test_cisco_asa_2_tpl_26x", "netflow9_test_cisco_asa_2_data", 30, 130362),
    ("netflow9_test_cisco_asr9k_opttpl256", "netflow9_test_cisco_asr9k_data256", 0, 0),
    ("netflow9_test_cisco_asr9k_tpl260", "netflow9_test_cisco_asr9k_data260", 21, 208031),
    ("netflow9_test_cisco_nbar_tpl262", "netflow9_test_cisco_nbar_data262", 5, 3064),
    ("netflow9_test_cisco_wlc_tpl", "netflow9_test_cisco_wlc_data261", 19, 142991108),
    ("netflow9_test_field_layer2segmentid_tpl", "netflow9_test_field_layer2segmentid_data", 1, 52),
    ("netflow9_test_fortigate_fortios_521_tpl", "netflow9_test_fortigate_fortios_521_data256", 0, 0),
    ("netflow9_test_fortigate_fortios_521_tpl", "netflow9_test_fortigate_fortios_521_data257", 1, 152),
    (
        "netflow9_test_fortigate_fortios_542_appid_tpl258-269",
        "netflow9_test_fortigate_fortios_542_appid_data258_262",
        17,
        29492,
    ),
    ("netflow9_test_h3c_tpl3281", "netflow9_test_h3c_data3281", 16, 8729687),
    ("netflow9_test_h3c_netstream_varstring_tpl3281", "netflow9_test_h3c_netstream_varstring_data3281", 1, 702),
    ("netflow9_test_huawei_netstream_tpl", "netflow9_test_huawei_netstream_data", 2, 200),
    ("netflow9_test_macaddr_tpl", "netflow9_test_macaddr_data", 0, 0),
    ("netflow9_test_nprobe_tpl", "netflow9_test_nprobe_data", 1, 200),
    (
        "netflow9_test_paloalto_81_tpl256-263",
        "netflow9_test_paloalto_81_data257_1flowset_in_large_zerofilled_packet",
        1,
        363,
    ),
    ("netflow9_test_paloalto_panos_tpl", "netflow9_test_paloalto_panos_data", 8, 617),
    ("netflow9_test_ubnt_edgerouter_tpl", "netflow9_test_ubnt_edgerouter_data1024", 8, 15783),
    ("netflow9_test_ubnt_edgerouter_tpl", "netflow9_test_ubnt_edgerouter_data1025", 8, 4635),
)


def decode(folder: Path, *names: str) -> tuple[int, int, DecodeReport]:
    """Rows, their bytes, and the report, of datagrams decoded after one another."""
    payloads = [(folder / f"spec__codecs__{name}.dat").read_bytes() for name in names]
    decoder = FlowDecoder()
    records = all_records(decoder.decode_datagrams(payloads, [NOW_NS + n for n in range(len(payloads))])).records
    return len(records), int(records["bytes"].sum()), decoder.report()


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome[0])
def test_each_datagram_alone(data: Path, outcome: tuple[str, int, int, int, int, str]) -> None:
    name, rows, templates, options, without_bytes, rejections = outcome
    found, _, report = decode(data / "flow_packets", name)
    kinds = (Irregularity.TEMPLATE_INSTALLED, Irregularity.OPTIONS_RECORD, Irregularity.WITHOUT_BYTES)
    assert (found, *(report.irregularities.get(kind, 0) for kind in kinds)) == (rows, templates, options, without_bytes)
    assert " ".join(f"{reason.value}:{count}" for reason, count in report.rejections.items()) == rejections


def test_the_table_is_complete(data: Path) -> None:
    names = {path.stem.removeprefix("spec__codecs__") for path in (data / "flow_packets").glob("*.dat")}
    assert {outcome[0] for outcome in OUTCOMES} == names


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[1])
def test_templates_and_their_data(data: Path, pair: tuple[str, str, int, int]) -> None:
    template, content, rows, octets = pair
    found, total, report = decode(data / "flow_packets", template, content)
    assert (found, total) == (rows, octets)
    assert report.rejections.get(Rejection.UNKNOWN_TEMPLATE, 0) == (1 if content == "ipfix_test_netscaler_data" else 0)
