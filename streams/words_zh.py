"""Chinese words for the codes of alerts."""

from typing import Final

from streams.lexicon import Lexicon

_UNITS: Final = (("天", 86_400_000), ("小时", 3_600_000), ("分钟", 60_000), ("秒", 1_000))
_CLAUSES: Final = {
    "silence_ms": "已沉默{value}（上限{threshold}）",
    "min_count": "此前有{value}次此类事件（至少{threshold}次）",
    "max_count": "此前有{value}次此类事件（至多{threshold}次）",
    "count": "共{value}次（上限{threshold}次）",
    "within_ms": "{value}之内",
    "probability": "流失概率{value}（上限{threshold}）",
    "held_for_ms": "已持续{value}（上限{threshold}）",
    "first_response_ms": "{value}未首次回复（上限{threshold}）",
    "next_response_ms": "{value}未再回复（上限{threshold}）",
    "resolution_ms": "{value}未解决（上限{threshold}）",
    "fraction": "时限已用{value}",
    "gap_ms": "平常间隔{value}",
    "times_gap": "已过平常间隔的{value}倍（上限{threshold}倍）",
    "share": "占比{value}（上限{threshold}）",
    "among": "基数{value}（至少{threshold}）",
    "value": "数值{value}（界限{threshold}）",
    "recent_per_day": "近期每天{value}次",
    "baseline_per_day": "此前每天{value}次",
    "change": "变化{value}（界限{threshold}）",
    "renews_in_ms": "{value}后到期续约（提前{threshold}开始关注）",
    "rule_open": "规则{value}已触发",
    "rule_closed": "规则{value}已解除",
    "rule_gone": "{value}",
    "erased": "{value}",
    "open_for_ms": "已打开{value}（上限{threshold}）",
    "feed_status": "数据源状态为{value}",
    "feed_reason": "{value}",
    "rule_waits": "规则{value}正在等待它",
    "feed_gap": "有事件丢失（{value}）",
    "unseen_ms": "其中{value}的数据我们没有收到",
    "priority": "优先级{value}",
    "tier": "等级{value}",
    "category": "类别{value}",
    "team": "团队{value}",
}
_REASONS: Final = {
    "poison": "其来源已暂停：大部分记录无法读取",
    "recreated": "其来源已暂停：主题被删除后重建",
    "missing": "其来源的主题不存在",
}
_STATES: Final = {
    "escalated": "无人确认，已升级：{because}",
    "acked": "{who}已确认",
    "snoozed": "{who}已推迟到{until}",
    "resolved": "已结束：{by}",
    "retracted": "已撤回：{by}",
    "expired": "已失效：{because}",
    "warned": "即将触发：{because}",
}
_CLEARS: Final = {
    "event": "{subject}{only}发生{times}{names}{then}",
    "window_empties": "若不再发生，{at}自行解除",
    "probability_below": "流失概率低于{below}",
    "value_above": "{subject}{only}的{names}数值{or_at}高于{above}",
    "value_below": "{subject}{only}的{names}数值{or_at}低于{below}",
    "share_below": "{subject}{only}有更多{names}，使占比低于{below}",
    "rate_above": "{subject}{only}的{names}每天多于{above}次",
    "rate_below": "{subject}{only}的{names}每天少于{below}次",
    "features": "{where}不再成立",
    "rules_close": "{names}之一解除",
    "feed_live": "数据源{names}恢复正常",
}
_NO_SECOND_DAY: Final = "尚无第二个下单日"
_NO_ORDER: Final = "{order_recency_days:.0f}天没有下单"
_FEATURES: Final = {
    "order_recency_days": ("{order_recency_days:.0f}天前最后下单，平常每{order_gap_mean_days:.0f}天一次", _NO_ORDER),
    "tenure_days": ("成为客户{tenure_days:.0f}天", ""),
    "orders": ("累计{orders:.0f}单", ""),
    "order_gap_mean_days": ("平均每{order_gap_mean_days:.0f}天下单一次", _NO_SECOND_DAY),
    "order_recency_ratio": ("距上次下单已过平常间隔的{order_recency_ratio:.1f}倍", _NO_ORDER),
    "order_gap_last_days": ("最近两单相隔{order_gap_last_days:.0f}天", _NO_SECOND_DAY),
    "order_gap_max_days": ("最长间隔{order_gap_max_days:.0f}天", _NO_SECOND_DAY),
    "order_recency_max_ratio": ("距上次下单已过最长间隔的{order_recency_max_ratio:.1f}倍", _NO_ORDER),
    "order_gap_recent_days": ("近来每{order_gap_recent_days:.0f}天下单一次", _NO_SECOND_DAY),
    "orders_half_14d": ("近三周约{orders_half_14d:.1f}单", ""),
    "orders_30d": ("近30天约{orders_30d:.1f}单", ""),
    "orders_90d": ("近90天约{orders_90d:.1f}单", ""),
    "order_value_90d": ("近90天消费约{order_value_90d:.0f}", ""),
    "order_value_half_112d": ("近五个月消费约{order_value_half_112d:.0f}", ""),
    "order_value_mean": ("客单价{order_value_mean:.0f}", ""),
    "order_rate": ("{tenure_days:.0f}天内{orders:.0f}单", "每天{order_rate:.3f}单"),
    "order_days_180d": ("近180天有{order_days_180d:.0f}天下单", ""),
    "order_weeks_share": ("{order_weeks_share:.0%}的周有下单", ""),
    "order_once": ("累计{orders:.0f}单", "只在一天下过单（1）或否（0）：{order_once:.0f}"),
    "order_items_mean": ("平均每单{order_items_mean:.1f}件", ""),
    "returns": ("退货或取消{returns:.0f}次", ""),
    "login_recency_days": ("{login_recency_days:.0f}天前最后活跃", ""),
    "logins_7d": ("近7天约登录{logins_7d:.1f}次", ""),
    "logins_30d": ("近30天约登录{logins_30d:.1f}次", ""),
    "logins_90d": ("近90天约登录{logins_90d:.1f}次", ""),
    "login_days_7d": ("近7天有{login_days_7d:.0f}天活跃", ""),
    "login_days_28d": ("近28天有{login_days_28d:.0f}天活跃", ""),
    "login_days_56d": ("近56天有{login_days_56d:.0f}天活跃", ""),
    "usage_30d": ("近30天约使用{usage_30d:.0f}次", ""),
    "tickets_open": ("未关闭工单{tickets_open:.0f}个", ""),
    "tickets_30d": ("近30天约{tickets_30d:.1f}个工单", ""),
    "complaints_30d": ("近30天约{complaints_30d:.1f}次投诉", ""),
    "complaints_90d": ("近90天约{complaints_90d:.1f}次投诉", ""),
    "survey_last": ("最近一次问卷得分为满分的{survey_last:.0%}", ""),
}


def duration(ms: int) -> str:
    """A length of time in its largest unit.

    >>> duration(30 * 86_400_000), duration(5_400_000)
    ('30天', '1.5小时')
    """
    for unit, unit_ms in _UNITS:
        if ms >= unit_ms:
            return f"{ms / unit_ms:.1f}".removesuffix(".0") + unit
    return f"{ms}毫秒"


CHINESE: Final = Lexicon(
    clauses=_CLAUSES,
    reasons=_REASONS,
    states=_STATES,
    clears=_CLEARS,
    features=_FEATURES,
    duration=duration,
    months=lambda count: f"{count}个月",
    comma="，",
    limit="（上限{}）",
    its_limit="其界限",
    by_itself="；或于{at}自行解除",
    none_open="{names}全部解除",
    alternatives="或",
    them="它们",
    only="（条件：{where}）",
    times="{count}次",
    then="：流失概率将为{probability:.0%}，须低于{below:.0%}",
    or_at="达到或",
    ticket="工单{}",
    contract="合同{}",
    customer="客户{}",
    event="{type}（{at}）",
)
