internal import CKafka
internal import EventLoops

/// Whether a client's brokers answer. librdkafka says when the last connection went but not when one is back, so from
/// then on, and at the start, metadata requests find out. Belongs to the loop's thread.
///
/// - `unknown`: nothing has answered yet → `healthy`.
/// - `healthy` → `suspect` when every connection is gone (an idle one that the broker closed looks the same).
/// - `suspect` → `healthy` when a request is answered, → `unhealthy` when none is within a second.
/// - `unhealthy` → `healthy` when a request is answered.
final class BrokerHealth {
    private enum State { case unknown, healthy, suspect, unhealthy, stopped }

    private static let probeTimeoutMilliseconds: Int32 = 1_000
    private static let pauseMilliseconds: UInt64 = 250

    private let loop: EventLoop
    private let changed: (Bool) -> Void
    private var handle: ClientHandle
    private var state = State.unknown
    private var isProbing = false
    /// The probe under way began before the doubt did: its answer proves nothing.
    private var isProbeStale = false

    init(_ handle: ClientHandle, on loop: EventLoop, changed: @escaping (Bool) -> Void) {
        self.handle = handle
        self.loop = loop
        self.changed = changed
        probe()
    }

    var isHealthy: Bool { state == .healthy || state == .suspect }

    /// A replaced client's successor.
    func follow(_ handle: ClientHandle) { self.handle = handle }

    func stop() { state = .stopped }

    func brokerAnswered() {
        if state != .healthy { move(to: .healthy) }
    }

    /// The last connection went, or a record was not taken in time.
    func doubt() {
        guard state == .healthy else { return }
        move(to: .suspect)
        isProbeStale = isProbing
        probe()
    }

    private func move(to next: State) {
        guard state != .stopped else { return }
        let before = isHealthy
        state = next
        if isHealthy != before { changed(isHealthy) }
    }

    private func probe() {
        guard !isProbing else { return }
        isProbing = true
        let confined = Confined(WeakBox(self))
        handle.onOwnThread { [loop] client in
            var metadata: UnsafePointer<rd_kafka_metadata>?
            let code = rd_kafka_metadata(client, 0, nil, &metadata, Self.probeTimeoutMilliseconds)
            if let metadata { rd_kafka_metadata_destroy(metadata) }
            let answered = code == RD_KAFKA_RESP_ERR_NO_ERROR
            loop.execute { confined.value.object?.probed(answered) }
        }
    }

    private func probed(_ answered: Bool) {
        isProbing = false
        if isProbeStale {
            isProbeStale = false
            return state == .suspect ? probe() : ()
        }
        switch state {
        case .stopped, .healthy: return
        case .unknown, .suspect, .unhealthy:
            if answered { return move(to: .healthy) }
            if state == .suspect { move(to: .unhealthy) }
            loop.after(milliseconds: Self.pauseMilliseconds) { [weak self] in
                guard let self, state != .healthy, state != .stopped else { return }
                probe()
            }
        }
    }
}

/// A weak reference as a value.
struct WeakBox<Object: AnyObject> {
    weak var object: Object?
    init(_ object: Object) { self.object = object }
}
