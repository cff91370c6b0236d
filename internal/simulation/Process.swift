/// One instance of a service: its computer, and what its process is at the moment.
final class Process {
    let host: Host
    let group: Group
    private let make: (Host) -> any Member
    /// nil: it does not run.
    private(set) var member: (any Member)?
    /// When it is started again after it has ended.
    var backAfterMs: Int64 = 0

    init(_ name: String, _ group: Group, _ make: @escaping (Host) -> any Member) {
        host = Host(name)
        self.group = group
        self.make = make
    }

    func start(_ timeline: Timeline) {
        guard !host.isAlive else { return }
        timeline.start(host)
        let member = make(host)
        self.member = member
        member.begin()
    }

    func end(_ timeline: Timeline) {
        timeline.kill(host)
        member = nil
    }
}
