"""What is wrong with an export, in words."""

from __future__ import annotations

from collections.abc import Mapping

from infosec.evidence.faults import Finding, Flaw
from infosec.messages import Text

_FLAWS: Mapping[Flaw, Text] = {
    Flaw.MALFORMED_FILE: Text("文件无法读取", "the file cannot be read"),
    Flaw.MALFORMED_MANIFEST: Text("清单无法读取或自相矛盾", "the manifest cannot be read, or contradicts itself"),
    Flaw.MALFORMED_PROOF: Text("证明文件无法读取或自相矛盾", "the proof file cannot be read, or contradicts itself"),
    Flaw.MANIFEST_CHANGED: Text("清单被改动", "the manifest was changed"),
    Flaw.PROOF_CHANGED: Text("证明文件被改动", "the proof file was changed"),
    Flaw.FILE_CHANGED: Text(
        "各行均无误，但文件字节与导出时不同（可能被某个程序另存过）",
        "every row is right, but the bytes are not those of the export (some program may have saved it again)",
    ),
    Flaw.NO_KEY: Text("给出的公钥中没有此日志的公钥", "none of the keys given is this log's"),
    Flaw.BAD_CHECKPOINT: Text("检查点不是此日志签发的", "the checkpoint is not signed by this log"),
    Flaw.TOO_FEW_WITNESSES: Text("见证人不足", "too few witnesses"),
    Flaw.BAD_COSIGNATURE: Text("见证人签名无效", "a witness's signature does not hold"),
    Flaw.NOT_CONSISTENT: Text(
        "日志不是先前检查点的延续：此处曾被截去或改写",
        "the log does not continue the checkpoint before: here it was cut off or rewritten",
    ),
    Flaw.CONSISTENCY_UNPROVED: Text(
        "无法证明日志是先前检查点的延续，请用 --consistency 给出证明",
        "nothing here proves that the log continues the checkpoint before; give a proof with --consistency",
    ),
    Flaw.ENTRY_CHANGED: Text("记录被改动", "the entry was changed"),
    Flaw.RANGE_CHANGED: Text(
        "此范围内有记录连同其哈希被改动或调换（筛选导出中也可能是证明文件的哈希被改动）",
        "within this range an entry was changed together with its hash, or put in another's place (of a filtered export, "
        "it may be a hash of the proof file)",
    ),
    Flaw.ENTRIES_SWAPPED: Text("两条记录被对调", "two entries stand in each other's place"),
    Flaw.ENTRIES_MISSING: Text("记录缺失", "entries are missing"),
    Flaw.CUT_OFF: Text("末尾被截去", "the end was cut off"),
    Flaw.ENTRY_DUPLICATE: Text("记录重复", "the entry is there twice"),
    Flaw.ENTRY_OUT_OF_ORDER: Text("记录不在其应有的位置", "the entry is not where it belongs"),
    Flaw.ENTRY_ADDED: Text("多出的行，不属于此次导出", "a row that is not of this export"),
    Flaw.TIME_REVERSED: Text("入日志时间早于前一条", "recorded before the entry that stands before it"),
    Flaw.PAYLOAD_MISSING: Text("内容在保存期限之前缺失", "the content is missing before its term is over"),
    Flaw.CELL_CHANGED: Text("单元格与记录原文不符", "a cell is not what the entry says"),
    Flaw.WRONG_COUNT: Text("行数与清单不符", "not as many rows as the manifest says"),
    Flaw.WRONG_ROOT: Text(
        "各行与检查点的根哈希不符，且无法确定位置；可按时段分别导出以缩小范围",
        "the rows do not add up to the checkpoint's root, and nothing says where; exports of shorter periods narrow it down",
    ),
}


def told(one: Finding) -> Text:
    """A finding as a line: what, and where."""
    where_zh, where_en = _where(one)
    text = _FLAWS[one.flaw]
    extra = f" [{one.detail}]" if one.detail else ""
    return Text(f"{where_zh}{text.zh}{extra}", f"{where_en}{text.en}{extra}")


def _where(one: Finding) -> Text:
    zh, en = [], []
    if one.log:
        zh.append(f"日志 {one.log}")
        en.append(f"log {one.log}")
    if one.index is not None:
        zh.append(f"序号 {_indexes(one, '与')}")
        en.append(f"index {_indexes(one, 'and')}")
    if one.row is not None:
        zh.append(f"文件第 {one.row} 行")
        en.append(f"row {one.row} of the file")
    if one.column:
        zh.append(f"列 {one.column}")
        en.append(f"column {one.column}")
    return Text("，".join(zh) + "：" if zh else "", ", ".join(en) + ": " if en else "")


def _indexes(one: Finding, joint: str) -> str:
    if one.flaw is Flaw.ENTRIES_SWAPPED:
        return f"{one.index} {joint} {one.end}"
    if one.end is None or (one.index is not None and one.end <= one.index + 1):
        return str(one.index)
    return f"{one.index}–{one.end - 1}"  # a range
