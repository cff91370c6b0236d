public import Delivering
internal import Settings

/// `classification`: what an endpoint's answer means.
public struct ClassificationSettings: Sendable {
    public let rules: ClassificationRules

    init(_ settings: SettingsSection) {
        let standard = ClassificationRules.standard
        let retryable = settings.value(
            "retryable", .list(of: .failureRule), default: standard.retryable,
            "Statuses and failures after which a delivery is tried again as often as its policy says. What is in neither list is tried "
                + "again four times at most.")
        let nonRetryable = settings.value(
            "non_retryable", .list(of: .failureRule), default: standard.nonRetryable,
            "Those after which it is given up at once; these go before the others.")
        rules = ClassificationRules(retryable: retryable, nonRetryable: nonRetryable)
    }
}

extension SettingKind where Value == FailureRule {
    fileprivate static var failureRule: SettingKind {
        let failures = TransportFailure.allCases.filter { !$0.isOurs }.map(\.reason).joined(separator: ", ")
        return SettingKind(
            "a status such as 429, statuses such as 500-599 (not 200 to 299), or one of \(failures)",
            text: FailureRule.init, render: \.text)
    }
}
