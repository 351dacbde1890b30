import { Domain } from '../../entities/domain.js'
import type { Stage } from '../../entities/stage.js'
import { badInput, CommandError } from '../errors.js'
import { asciiDomain, checkDomain } from '../names.js'
import type { CommandDependencies } from './dependencies.js'
import { lockStage } from '../sql/locks.js'

const MAX_DOMAINS = 100

export class DomainCommands {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** The stage answers on `host` as well, at once. A host belongs to one stage of all. */
  async add(stageId: string, host: string): Promise<Stage> {
    const name = checkDomain('host', host, this.dependencies.settings)
    const stage = await this.dependencies.database.transaction(async (manager) => {
      const found = await lockStage(manager, stageId, 'stageId')
      if ((await manager.countBy(Domain, { stageId })) >= MAX_DOMAINS) {
        throw badInput('host', `a stage has at most ${MAX_DOMAINS} domains`)
      }
      const values = { host: name, stageId }
      const result = await manager
        .createQueryBuilder()
        .insert()
        .into(Domain)
        .values(values)
        .orIgnore()
        .execute()
      if ((result.raw as unknown[]).length === 0) {
        const owner = await manager.findOneByOrFail(Domain, { host: name })
        if (owner.stageId !== stageId) {
          throw new CommandError('CONFLICT', `host: ${name} belongs to another stage already`, 'host')
        }
      }
      return found
    })
    this.dependencies.wakeups.trafficMoved(stageId)
    return stage
  }

  /** A host that is not the stage's counts as removed. One that has become Longshore's own since can be removed, too. */
  async remove(stageId: string, host: string): Promise<Stage> {
    const name = asciiDomain('host', host)
    const stage = await this.dependencies.database.transaction(async (manager) => {
      const found = await lockStage(manager, stageId, 'stageId')
      await manager.delete(Domain, { host: name, stageId })
      return found
    })
    this.dependencies.wakeups.trafficMoved(stageId)
    return stage
  }
}
