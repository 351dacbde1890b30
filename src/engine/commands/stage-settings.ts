import { Stage } from '../../entities/stage.js'
import { badInput, checkAll } from '../command-error.js'
import { checkCommand, checkHealthPath } from '../names.js'
import { checkBranch } from '../ref-names.js'
import { checkGlob } from '../webhooks/globs.js'
import { changeNode } from './change-node.js'
import type { CommandDependencies } from './dependencies.js'
import { lockStage } from '../sql/locks.js'

/** What is left out stays as it is; null, or an empty text, resets to the default. */
export interface UpdateStageCommand {
  readonly branch?: string | null
  readonly tags?: string | null
  readonly replicas?: number | null
  readonly command?: readonly string[] | null
  readonly autoDeploy?: boolean | null
  readonly stopOnBranchDeletion?: boolean | null
  readonly healthCheck?: {
    readonly path?: string | null
    readonly intervalSeconds?: number | null
    readonly timeoutSeconds?: number | null
    readonly deadlineSeconds?: number | null
    readonly stableSeconds?: number | null
  } | null
  readonly limits?: {
    readonly memoryBytes?: number | null
    readonly cpus?: number | null
    readonly pids?: number | null
  } | null
}

/** Minimum, maximum and default of each number, by the API's name. */
export const STAGE_NUMBERS = {
  replicas: { column: 'replicas', min: 1, max: 20, fallback: 1, isInteger: true },
  'healthCheck.intervalSeconds': {
    column: 'healthIntervalSeconds',
    min: 1,
    max: 300,
    fallback: 1,
    isInteger: true,
  },
  'healthCheck.timeoutSeconds': {
    column: 'healthTimeoutSeconds',
    min: 1,
    max: 300,
    fallback: 5,
    isInteger: true,
  },
  'healthCheck.deadlineSeconds': {
    column: 'healthDeadlineSeconds',
    min: 1,
    max: 3600,
    fallback: 60,
    isInteger: true,
  },
  'healthCheck.stableSeconds': {
    column: 'healthStableSeconds',
    min: 0,
    max: 600,
    fallback: null,
    isInteger: true,
  },
  'limits.memoryBytes': {
    column: 'memoryBytes',
    min: 6 * 1024 * 1024, // the Docker engine takes no less
    max: 1024 ** 4,
    fallback: 512 * 1024 * 1024,
    isInteger: true,
  },
  'limits.cpus': { column: 'cpus', min: 0.01, max: 256, fallback: 1, isInteger: false },
  'limits.pids': { column: 'pids', min: 16, max: 32_768, fallback: 512, isInteger: true },
} as const

export class StageSettings {
  constructor(private readonly dependencies: CommandDependencies) {}

  /** Takes effect with the stage's next deployment. */
  async update(id: string, command: UpdateStageCommand): Promise<Stage> {
    const patch = stagePatch(command)
    return changeNode(this.dependencies, id, async (manager) => {
      await lockStage(manager, id)
      if (Object.keys(patch).length > 0) await manager.update(Stage, { id }, patch)
      return manager.findOneByOrFail(Stage, { id })
    })
  }
}

/** The columns that a command sets. @throws CommandError that names each field that is wrong */
export function stagePatch(command: UpdateStageCommand): Partial<Stage> {
  const { branch, tags, autoDeploy, stopOnBranchDeletion: stops, command: words } = command
  const checks: Record<string, () => unknown> = {}
  for (const [field, { column, fallback, ...bounds }] of Object.entries(STAGE_NUMBERS)) {
    const value = valueAt(command, field)
    if (value === undefined) continue
    checks[column] = () => (value === null ? fallback : checkNumber(field, value, bounds))
  }
  if (branch !== undefined) checks.branch = () => (branch ? checkBranch('branch', branch) : null)
  if (tags !== undefined) checks.tags = () => (tags ? checkGlob('tags', tags) : null)
  if (words !== undefined) checks.command = () => (words ? checkCommand('command', words) : null)
  if (autoDeploy !== undefined) checks.autoDeploy = () => autoDeploy ?? true
  if (stops !== undefined) checks.stopOnBranchDeletion = () => stops ?? false
  const path = command.healthCheck === null ? null : command.healthCheck?.path
  if (path !== undefined) checks.healthPath = () => (path ? checkHealthPath('healthCheck.path', path) : null)
  return checkAll(checks)
}

/** Undefined: left out. A group that is null resets all that is in it. */
function valueAt(command: UpdateStageCommand, field: string): number | null | undefined {
  const [group = '', name] = field.split('.')
  const found = command[group as keyof UpdateStageCommand]
  if (name === undefined || found === null || found === undefined) return found as number | null | undefined
  return (found as Record<string, number | null | undefined>)[name]
}

function checkNumber(
  field: string,
  value: number,
  { min, max, isInteger }: { min: number; max: number; isInteger: boolean },
): number {
  if (value >= min && value <= max && (!isInteger || Number.isInteger(value))) return value
  throw badInput(field, `${value} is not a ${isInteger ? 'whole ' : ''}number from ${min} to ${max}`)
}
