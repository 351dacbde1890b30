import type { Stage } from '../../entities/stage.js'
import type { EntityManager } from 'typeorm'
import { badInput, checkAll, CommandError } from '../command-error.js'
import { asciiDomain, checkDomain } from '../names.js'
import type { CommandDependencies } from './dependencies.js'
import { lockStage } from '../sql/locks.js'
import { Domain } from '../../entities/domain.js'

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
      await insertDomain(manager, { host: name, stageId }, 'host')
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

/** Those of a new stage. @throws CommandError that names each host that is wrong, by its place in `field` */
export function checkDomains(
  field: string,
  hosts: readonly string[],
  settings: CommandDependencies['settings'],
): string[] {
  if (hosts.length > MAX_DOMAINS) throw badInput(field, `a stage has at most ${MAX_DOMAINS} domains`)
  const checks = hosts.map((host, index) => [
    String(index),
    () => checkDomain(`${field}[${index}]`, host, settings),
  ])
  const checked = checkAll(Object.fromEntries(checks) as Record<string, () => string>)
  return [...new Set(Object.values(checked))]
}

/** A host that is the stage's already stays so. @throws CommandError CONFLICT when it is another's */
export async function insertDomain(
  manager: EntityManager,
  domain: Pick<Domain, 'host' | 'stageId'>,
  field: string,
): Promise<void> {
  const result = await manager.createQueryBuilder().insert().into(Domain).values(domain).orIgnore().execute()
  if ((result.raw as unknown[]).length > 0) return
  const { stageId } = await manager.findOneByOrFail(Domain, { host: domain.host })
  if (stageId === domain.stageId) return
  throw new CommandError('CONFLICT', `${field}: ${domain.host} already belongs to another stage`, field)
}
