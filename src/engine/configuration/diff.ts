import { type DataSource, In, IsNull } from 'typeorm'
import type { Configuration, StoredVariable } from '../../entities/configuration.js'
import { Deployment } from '../../entities/deployment.js'
import { badInput, CommandError } from '../command-error.js'

export type ChangeKind = 'ADDED' | 'REMOVED' | 'CHANGED'

/** A field that two deployments have with different values. */
export interface FieldChange {
  /** As the API's inputs name it: `limits.cpus`. */
  readonly field: string
  readonly from: string | null
  readonly to: string | null
}

/**
 * A variable that one of two deployments does not have, or has with another value, by fingerprints; equal ones: one of
 * the two has it for its build alone.
 */
export interface VariableChange {
  readonly key: string
  readonly change: ChangeKind
  readonly from: string | null
  readonly to: string | null
}

export interface ConfigurationDiff {
  readonly from: Deployment
  readonly to: Deployment
  readonly fields: FieldChange[]
  readonly variables: VariableChange[]
}

/**
 * What differs between what two deployments of an app run with.
 *
 * @throws CommandError NOT_FOUND, BAD_USER_INPUT for another app's, CONFLICT for one whose work has not begun
 */
export async function diffConfigurations(
  database: DataSource,
  fromId: string,
  toId: string,
): Promise<ConfigurationDiff> {
  const found = await database
    .getRepository(Deployment)
    .findBy({ id: In([fromId, toId]), app: { deletedAt: IsNull() } })
  const from = configured(found, 'from', fromId)
  const to = configured(found, 'to', toId)
  if (from.deployment.appId !== to.deployment.appId) {
    throw badInput('to', `deployment ${toId} belongs to a different app than ${fromId}`)
  }
  return {
    from: from.deployment,
    to: to.deployment,
    fields: diffFields(fieldsOf(from), fieldsOf(to)),
    variables: diffVariables(from.configuration, to.configuration),
  }
}

interface Configured {
  readonly deployment: Deployment
  readonly configuration: Configuration
}

function configured(found: readonly Deployment[], field: string, id: string): Configured {
  const deployment = found.find((one) => one.id === id)
  if (!deployment) throw new CommandError('NOT_FOUND', `there is no deployment ${id}`, field)
  const { configuration } = deployment
  if (configuration) return { deployment, configuration }
  const message = `deployment ${id} has no configuration yet: it gets one when a worker claims it`
  throw new CommandError('CONFLICT', message, field)
}

/** Where the API names a field otherwise than it is stored. */
const NAMES: readonly [stored: RegExp, name: string][] = [
  [/^(memoryBytes|cpus|pids)$/, 'limits.$1'],
  [/^health\./, 'healthCheck.'],
  [/^source\./, ''],
  [/^build\.args/, 'buildArgs'],
  [/^build\./, ''],
]

/** Every stored field, also one that is new: none has to be listed here to be compared. */
function fieldsOf({ deployment, configuration }: Configured): Map<string, string | null> {
  const { variables: _variables, ...stored } = configuration
  const { ref, commitSha } = deployment
  const named = flatten({ ref, commitSha, ...stored }).map(([path, value]) => {
    const name = NAMES.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), path)
    return [name, value] as const
  })
  return new Map(named)
}

function flatten(value: object, prefix = ''): [string, string | null][] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]): [string, string | null][] => {
    const path = `${prefix}${name}`
    if (inner === null || inner === undefined) return [[path, null]]
    if (typeof inner === 'object' && !Array.isArray(inner)) return flatten(inner, `${path}.`)
    return [[path, typeof inner === 'string' ? inner : JSON.stringify(inner)]]
  })
}

function diffFields(from: Map<string, string | null>, to: Map<string, string | null>): FieldChange[] {
  const names = [...new Set([...from.keys(), ...to.keys()])]
  const both = names.map((field) => ({ field, from: from.get(field) ?? null, to: to.get(field) ?? null }))
  return both.filter((one) => one.from !== one.to)
}

function diffVariables(from: Configuration, to: Configuration): VariableChange[] {
  const [before, after] = [byKey(from), byKey(to)]
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort()
  return keys.flatMap((key) => {
    const [old, current] = [before.get(key) ?? null, after.get(key) ?? null]
    if (old?.fingerprint === current?.fingerprint && isForBuilds(old) === isForBuilds(current)) return []
    const change = old === null ? 'ADDED' : current === null ? 'REMOVED' : 'CHANGED'
    return [{ key, change, from: old?.fingerprint ?? null, to: current?.fingerprint ?? null }]
  })
}

function byKey({ variables }: Configuration): ReadonlyMap<string, StoredVariable> {
  return new Map(variables.map((variable) => [variable.key, variable]))
}

function isForBuilds(variable: StoredVariable | null): boolean {
  return variable?.buildSecret ?? false
}
