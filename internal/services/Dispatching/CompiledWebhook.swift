internal import Delivering
internal import HTTPSending
internal import Records
internal import StandardWebhooks

/// A webhook, ready to be sent to: secrets opened, headers rendered. Immutable; a change makes another one, which shares the
/// gate, so that requests under way keep counting.
final class CompiledWebhook: Sendable {
    let id: String
    let tenant: String
    let version: UInt64
    let isEnabled: Bool
    let url: String
    let eventTypes: [String]
    let endpoint: Endpoint
    /// The webhook's own headers.
    let lines: HeaderLines
    /// They do not say who sends.
    let needsUserAgent: Bool
    let timeoutMs: Int
    let retries: RetryPolicy
    let gate: SharedGate
    private let hasHubSignature: Bool
    private let keys: [(keys: WebhookSigningKeys, expiresAtMs: Int64)]

    init(
        _ webhook: Webhook, endpoint: Endpoint, keys: [(keys: WebhookSigningKeys, expiresAtMs: Int64)],
        defaults: WebhookDefaults, gate: SharedGate
    ) {
        id = webhook.id
        tenant = webhook.tenant
        version = webhook.version
        isEnabled = webhook.enabled
        url = webhook.url
        eventTypes = webhook.eventTypes
        self.endpoint = endpoint
        var lines = HeaderLines()
        for header in webhook.headers { lines.append(header.name, header.value) }
        self.lines = lines
        needsUserAgent = !webhook.headers.contains { $0.name.lowercased() == "user-agent" }
        timeoutMs = webhook.timeoutMs == 0 ? defaults.timeoutMs : Int(webhook.timeoutMs)
        retries = defaults.retries.overridden(by: webhook.retry)
        self.gate = gate
        hasHubSignature = webhook.hubSignature
        self.keys = keys
    }

    /// The keys that sign at `now` (milliseconds since 1970).
    func signingKeys(at now: Int64) -> WebhookSigningKeys {
        if keys.count == 1, keys[0].expiresAtMs == 0 { return keys[0].keys }
        var active = WebhookSigningKeys()
        for entry in keys where entry.expiresAtMs == 0 || now < entry.expiresAtMs {
            active.secrets += entry.keys.secrets
            active.privateKeys += entry.keys.privateKeys
        }
        return active
    }

    /// What the legacy signature is made with, where the webhook wants one: the newest secret as its owner knows it.
    func hubKey(at now: Int64) -> [UInt8]? {
        guard hasHubSignature, let secret = signingKeys(at: now).secrets.first else { return nil }
        return Array(secret.text.utf8)
    }
}

/// What holds for a webhook that does not say otherwise.
struct WebhookDefaults: Sendable {
    var timeoutMs: Int
    var maxInFlight: Int
    var retries: RetryPolicy
    var breaker: BreakerRules
    /// 0: never.
    var disableAfterMs: Int64

    func gateRules(of webhook: Webhook) -> GateRules {
        GateRules(
            maxInFlight: webhook.maxInFlight == 0 ? maxInFlight : Int(webhook.maxInFlight),
            ratePerSecond: webhook.ratePerSecond, isPaused: webhook.paused, breaker: breaker,
            reportedFailing: webhook.failingSinceMs, disableAfterMs: disableAfterMs)
    }
}
