public import Flags
internal import ServiceSupport

/// `martlet`: everything below it is a command of its own.
public struct MartletCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "martlet", abstract: "Runs a local Martlet, and talks to any.",
        discussion: "`martlet up --demo` starts everything on loopback and delivers a first event.",
        version: martletVersion,
        subcommands: [
            UpCommand.self, DownCommand.self, StatusCommand.self, LogsCommand.self, ResetCommand.self, DemoCommand.self,
            SendCommand.self, ListenCommand.self, TailCommand.self, DeliveriesCommand.self, RetryCommand.self,
            ResendCommand.self,
            CancelCommand.self, PauseCommand.self, ResumeCommand.self, DeadLetterCommand.self, AuditCommand.self,
            ConfigCommand.self, MigrateCommand.self,
            UsersCommand.self,
            DoctorCommand.self, BenchCommand.self, CompletionsCommand.self,
        ])

    public init() {}
}

/// Which local system is meant.
struct SystemOptions: ParsableArguments {
    @Option(name: .long, valueName: "dir", help: "The local system's folder; another one is another system.")
    var state = DirectoryPath(".martlet")

    var local: LocalState { LocalState(state.path) }
}
