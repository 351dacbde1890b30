import { AppCommands } from './commands/apps.js'
import { CommitStatusCommands } from './commands/commit-statuses.js'
import { DeploymentCommands } from './commands/deployments.js'
import { DomainCommands } from './commands/domains.js'
import type { CommandDependencies } from './commands/dependencies.js'
import { InstallWebhookCommands } from './commands/install-webhook.js'
import { ReleaseCommands } from './commands/releases.js'
import { RepositoryCredentialCommands } from './commands/repository-credentials.js'
import { RepositoryRefsCommands } from './commands/repository-refs.js'
import { StageSettings } from './commands/stage-settings.js'
import { StageCommands } from './commands/stages.js'
import { VariableCommands } from './commands/variables.js'
import { WebhookCommands } from './commands/webhooks.js'

/**
 * What the API may ask of the engine. Each command is one transaction and then a wake-up; errors are CommandError
 * with the API's field name.
 */
export class Commands {
  readonly apps: AppCommands
  readonly deployments: DeploymentCommands
  readonly releases: ReleaseCommands
  readonly stages: StageCommands
  readonly stageSettings: StageSettings
  readonly domains: DomainCommands
  readonly variables: VariableCommands
  readonly webhooks: WebhookCommands
  readonly forgeWebhooks: InstallWebhookCommands
  readonly commitStatuses: CommitStatusCommands
  readonly repositoryCredentials: RepositoryCredentialCommands
  readonly repositoryRefs: RepositoryRefsCommands

  constructor(dependencies: CommandDependencies) {
    this.apps = new AppCommands(dependencies)
    this.deployments = new DeploymentCommands(dependencies)
    this.releases = new ReleaseCommands(dependencies)
    this.stages = new StageCommands(dependencies)
    this.stageSettings = new StageSettings(dependencies)
    this.domains = new DomainCommands(dependencies)
    this.variables = new VariableCommands(dependencies)
    this.webhooks = new WebhookCommands(dependencies)
    this.forgeWebhooks = new InstallWebhookCommands(dependencies)
    this.commitStatuses = new CommitStatusCommands(dependencies)
    this.repositoryCredentials = new RepositoryCredentialCommands(dependencies)
    this.repositoryRefs = new RepositoryRefsCommands(dependencies)
  }
}
