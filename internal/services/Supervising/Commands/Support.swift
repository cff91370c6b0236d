internal import LifeCycle
internal import Synchronization

/// The first failure of a run.
final class Outcome: Sendable {
    private let state = Mutex<(any Error)?>(nil)
    func failed(_ error: any Error) { state.withLock { $0 = $0 ?? error } }
    var error: (any Error)? { state.withLock { $0 } }
}

/// A group that its own member can stop.
final class GroupBox: Sendable {
    private let group = Mutex<ServiceGroup?>(nil)
    func set(_ made: ServiceGroup) { group.withLock { $0 = made } }
    func stop() { group.withLock { $0 }?.stop() }
}
