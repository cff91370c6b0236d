/// One entry of a webhook's `event_types`.
public enum EventTypeFilter: Hashable, Sendable {
    /// `order.created`
    case exact(String)
    /// `order.*`, kept as `order.`: every type that begins so.
    case prefix(String)
    /// `*`
    case all

    public init(_ pattern: String) {
        if pattern == "*" {
            self = .all
        } else if pattern.hasSuffix(".*") {
            self = .prefix(String(pattern.dropLast()))
        } else {
            self = .exact(pattern)
        }
    }

    /// Whether every type that `other` takes is taken by this one too.
    func covers(_ other: EventTypeFilter) -> Bool {
        switch (self, other) {
        case (.all, _): true
        case (.prefix(let mine), .prefix(let theirs)): theirs.hasPrefix(mine)
        case (.prefix(let mine), .exact(let theirs)): theirs.hasPrefix(mine) && theirs.utf8.count > mine.utf8.count
        case (.exact(let mine), .exact(let theirs)): mine == theirs
        default: false
        }
    }

    /// The filters without those that another one covers. Of what is left at most one matches any type, so a webhook is
    /// found once for an event however its filters overlap.
    static func reduced(_ filters: [EventTypeFilter]) -> [EventTypeFilter] {
        let distinct = Array(Set(filters))
        return distinct.filter { filter in !distinct.contains { $0 != filter && $0.covers(filter) } }
    }
}
