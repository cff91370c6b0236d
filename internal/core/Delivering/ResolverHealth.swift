/// Tells one host that does not resolve from a resolver that does not work: while most of the hosts asked for lately fail to
/// resolve, it is no fault of theirs, and their deliveries are parked. Times are monotonic nanoseconds.
public struct ResolverHealth: Sendable {
    private struct Sighting {
        var at: UInt64
        var resolved: Bool
    }

    private let window: UInt64
    private let minimum: Int
    private var hosts: [String: Sighting] = [:]

    /// - Parameters:
    ///   - window: how long a host's last answer counts.
    ///   - minimum: how many hosts have to fail before it can be the resolver.
    public init(window: UInt64 = 30_000_000_000, minimum: Int = 4) {
        self.window = window
        self.minimum = minimum
    }

    /// A host failed to resolve. Returns whether the resolver is to blame.
    public mutating func failed(host: String, now: UInt64) -> Bool {
        hosts = hosts.filter { now - min(now, $0.value.at) < window }
        hosts[host] = Sighting(at: now, resolved: false)
        let failing = hosts.values.count { !$0.resolved }
        return failing >= minimum && failing * 2 > hosts.count
    }

    /// A host was reached; told only after a failure, so the common path costs nothing.
    public mutating func reached(host: String, now: UInt64) {
        guard !hosts.isEmpty else { return }
        hosts[host] = Sighting(at: now, resolved: true)
    }
}
