internal import Flags
internal import JSONScanning
internal import Postgres
internal import ServiceSupport
internal import Settings

/// Which configuration is meant.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .customLong("config"), valueName: "file", help: "The YAML file with the configuration.") var file:
        FilePath?
    @OptionGroup var system: SystemOptions

    /// As the services have it: where a local system runs, its addresses included.
    func load(needs: Configuration.Needs = []) throws -> Configuration {
        var environment = SettingsSources.processEnvironment()
        if file == nil, let running = system.local.running() {
            environment.merge(LocalSystem.environment(running.ports)) { $1 }
            environment["MARTLET_KAFKA_BROKERS"] = running.brokers
            if !running.logID.isEmpty { environment["MARTLET_KAFKA_LOG_ID"] = running.logID }
        }
        return try Configuration.load(file: file?.path, environment: environment, needs: needs)
    }
}

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The configuration.", subcommands: [ConfigPrintCommand.self])
}

struct ConfigPrintCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print", abstract: "Every key with its value and where that comes from; secrets are masked.")
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var source: ConfigurationOptions

    func run() async throws {
        let settings = try source.load().effective
        guard json else { return CommandOutput.standard.result(SettingsDocument.effective(settings)) }
        CommandOutput.standard.result(json: { writer in
            writer.object { writer in
                for setting in settings {
                    writer.key(setting.path)
                    writer.object { writer in
                        writer.key("value")
                        writer.value(setting.structuredValue)
                        writer.member("source", setting.source.description)
                    }
                }
            }
        })
    }
}

extension JSONWriter {
    fileprivate mutating func value(_ value: SettingValue) {
        switch value {
        case .text(let text): string(text)
        case .number(let digits): raw(digits)
        case .boolean(let flag): boolean(flag)
        case .list(let elements): array { writer in for element in elements { writer.value(element) } }
        case .map(let members):
            object { writer in
                for member in members {
                    writer.key(member.name)
                    writer.value(member.value)
                }
            }
        }
    }
}

struct MigrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate", abstract: "Bring the database's schemas up to date.")
    @Flag(help: "As JSON.") var json = false
    @OptionGroup var source: ConfigurationOptions

    func run() async throws {
        let pool = try PostgresPool(try source.load(needs: .postgres).postgres.pool("martlet-migrate"))
        pool.start()
        var applied: [String] = []
        do {
            for migrator in SchemaMigrations.all { applied += try await migrator.migrate(pool) }
        } catch {
            await pool.close()
            throw error
        }
        await pool.close()
        if json {
            CommandOutput.standard.result(json: { writer in
                writer.object { writer in
                    writer.key("applied")
                    writer.array { writer in for name in applied { writer.string(name) } }
                }
            })
        } else {
            CommandOutput.standard.result(
                applied.isEmpty ? "Everything is up to date." : applied.map { "applied \($0)" }.joined(separator: "\n"))
        }
    }
}
