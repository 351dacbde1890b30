import { AppCommands } from './commands/apps.js'
import { DeploymentCommands } from './commands/deployments.js'
import type { CommandParts } from './commands/parts.js'
import { StageCommands } from './commands/stages.js'

/**
 * What the API may ask of the engine. Each command is one transaction and then a wake-up; errors are CommandError
 * with the API's field name.
 */
export class Commands {
  readonly apps: AppCommands
  readonly deployments: DeploymentCommands
  readonly stages: StageCommands

  constructor(parts: CommandParts) {
    this.apps = new AppCommands(parts)
    this.deployments = new DeploymentCommands(parts)
    this.stages = new StageCommands(parts)
  }
}
