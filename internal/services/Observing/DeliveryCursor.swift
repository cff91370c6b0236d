internal import Records

/// The last delivery of a page, newest first: the next one begins below it.
struct DeliveryCursor: Equatable, Sendable {
    /// What the list is ordered by, in milliseconds since 1970.
    var at: Int64
    var delivery: DeliveryID

    init(_ letter: StoredLetter) {
        at = letter.deadAt
        delivery = letter.delivery
    }

    init(_ open: StoredOpenDelivery) {
        at = open.firstSeen
        delivery = open.delivery
    }

    /// As it travels: opaque to users.
    var text: String { "\(at).\(delivery.hexadecimal)" }

    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let at = Int64(parts[0]), at == HistoryTime.bounded(at),
            let delivery = DeliveryID("dlv_" + parts[1])
        else { return nil }
        self.at = at
        self.delivery = delivery
    }
}
