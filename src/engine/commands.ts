import { AppCommands } from './commands/apps.js'
import { CommitStatusCommands } from './commands/commit-statuses.js'
import { DeploymentCommands } from './commands/deployments.js'
import { DomainCommands } from './commands/domains.js'
import type { CommandParts } from './commands/parts.js'
import { ReleaseCommands } from './commands/releases.js'
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
  readonly commitStatuses: CommitStatusCommands

  constructor(parts: CommandParts) {
    this.apps = new AppCommands(parts)
    this.deployments = new DeploymentCommands(parts)
    this.releases = new ReleaseCommands(parts)
    this.stages = new StageCommands(parts)
    this.stageSettings = new StageSettings(parts)
    this.domains = new DomainCommands(parts)
    this.variables = new VariableCommands(parts)
    this.webhooks = new WebhookCommands(parts)
    this.commitStatuses = new CommitStatusCommands(parts)
  }
}
