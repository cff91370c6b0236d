internal import HTTPServing

/// An event that may go to Kafka.
struct CheckedEvent {
    var record: EventRecord
    /// Where its id is marked; nil where the producer gave none.
    var mark: EventMark?
}

/// Who is told what became of an event.
enum Asker {
    /// - Parameter id: as JSON.
    case one(HTTPResponder, id: [UInt8])
    case batch(EventBatch, Int)
}

/// The events of one request, and what became of each so far: it is answered when the last is known. Confined to its loop's thread.
///
/// Where several have one id (of one source) the first is sent on, and the others end as it does.
final class EventBatch {
    private let responder: HTTPResponder
    /// As JSON.
    private let ids: [[UInt8]]
    private var endings: [Ending?]
    private var open: Int
    private var repetitions: [Int: [Int]] = [:]
    private var repeated: Set<Int> = []

    /// One without events is answered at once.
    init(_ events: [CheckedEvent], _ responder: HTTPResponder) {
        self.responder = responder
        ids = events.map { Array($0.record.idJSON) }
        endings = Array(repeating: nil, count: events.count)
        open = events.count
        var firsts: [EventMark: Int] = [:]
        for (index, event) in events.enumerated() {
            guard let mark = event.mark else { continue }
            guard let first = firsts[mark] else {
                firsts[mark] = index
                continue
            }
            repetitions[first, default: []].append(index)
            repeated.insert(index)
        }
        if open == 0 { answer() }
    }

    /// Whether an earlier event of the batch has its id.
    func isRepetition(_ index: Int) -> Bool { repeated.contains(index) }

    /// The later events with this one's id.
    func repetitions(of index: Int) -> [Int] { repetitions[index] ?? [] }

    /// To be called once for each event.
    func end(_ index: Int, _ ending: Ending) {
        endings[index] = ending
        open -= 1
        if open == 0 { answer() }
    }

    private func answer() {
        var body: [UInt8] = []
        body.reserveCapacity(ids.count * 96 + 16)
        body.append(contentsOf: #"{"events":["#.utf8)
        for (index, ending) in endings.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            ending?.write(id: ids[index], to: &body)
        }
        body.append(contentsOf: "]}".utf8)
        let problems = endings.compactMap { $0?.problem }
        let retryAfter = problems.compactMap(\.retryAfter).max().map { [(name: "retry-after", value: String($0))] }
        responder.answer(.json(status: problems.isEmpty ? 202 : 503, body, headers: retryAfter ?? []))
    }
}
