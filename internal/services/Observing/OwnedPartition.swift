internal import CLinux
internal import Kafka
internal import Metrics
internal import Records
internal import WireFormat

/// One assigned partition of `attempts`: turns its records into entries. Confined to the intake's loop.
final class OwnedPartition {
    let queue: PartitionQueue
    /// Records below it are stored already: they are only read to fill the memory of request ids.
    private let begin: Int64
    /// Everything below it was handed over.
    private(set) var taken: Int64
    private var recent: RecentRequests
    private let settings: HistorySettings
    private let metrics: HistoryMetrics
    private let ledger: LedgerWatch?
    /// It has records that wait for room in the inbox.
    var isWaiting = false

    init(
        _ queue: PartitionQueue, begin: Int64, _ settings: HistorySettings, _ metrics: HistoryMetrics,
        _ ledger: LedgerWatch?
    ) {
        self.queue = queue
        self.begin = begin
        self.settings = settings
        self.metrics = metrics
        self.ledger = ledger
        taken = begin
        recent = RecentRequests(capacity: settings.dedupWindow)
    }

    var number: Int32 { queue.partition.partition }

    /// Moves up to `max` records to the inbox.
    func drain(max: Int, to inbox: Inbox) {
        let now = clinux_realtime_ms()
        let expected = taken
        var entries: [HistoryEntry] = []
        queue.drain(max: max) { record in
            let entry = read(record, now)
            guard record.offset >= begin else { return }
            taken = record.offset + 1
            if let entry { entries.append(entry) }
        }
        inbox.append(entries, partition: number, expected: expected, next: taken)
        ledger?.taken(number, queue.nextOffset)
    }

    /// nil for what leaves no trace.
    private func read(_ record: borrowing Record, _ now: Int64) -> HistoryEntry? {
        let outcome: Outcome
        do throws(WireError) {
            outcome = try Outcome(decoding: record.value ?? UnsafeRawBufferPointer(start: nil, count: 0))
        } catch {
            return unreadable(record, "\(error)")
        }
        ledger?.learn(outcome, number)
        guard outcome.kind != .covered else {
            metrics.covered.increment(by: outcome.spans.reduce(0) { $0 + Int(clamping: $1.last - $1.first + 1) })
            return nil
        }
        guard outcome.kind != .unspecified, outcome.delivery != nil else {
            return unreadable(record, "an outcome without a known kind or without a delivery")
        }
        guard recent.insert(outcome.requestID) else {
            if record.offset >= begin { metrics.repeated.increment() }
            return nil
        }
        let at = time(of: outcome, record.timestamp, now)
        if at == nil, record.offset >= begin { metrics.expired.increment() }
        return HistoryEntry(partition: number, offset: record.offset, content: .outcome(outcome, at: at))
    }

    private func unreadable(_ record: borrowing Record, _ reason: String) -> HistoryEntry {
        let bytes = record.value.map { [UInt8]($0) } ?? []
        return HistoryEntry(partition: number, offset: record.offset, content: .unreadable(bytes, reason: reason))
    }

    /// When the outcome happened. A clock that runs ahead must not make hours far away; nil for what is past its retention.
    private func time(of outcome: Outcome, _ timestamp: Int64, _ now: Int64) -> Int64? {
        let said = outcome.startedAtMs > 0 ? outcome.startedAtMs : timestamp
        let at = said > now + HistoryRows.hourMs ? now : said
        return at > now - settings.retentionMs ? at : nil
    }
}
