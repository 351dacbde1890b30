import {
  type FieldNode,
  type GraphQLResolveInfo,
  Kind,
  OperationTypeNode,
  type SelectionSetNode,
} from 'graphql'
import { LIMITS, overLimit } from './limits.js'

/** What has happened in one execution: a request's, or that of one event of a subscription. */
interface Execution {
  values: number
  hasFailed: boolean
}

type Fragments = GraphQLResolveInfo['fragments']

const EXECUTIONS = new WeakMap<object, Execution>()
const FIELDS_BELOW = new WeakMap<FieldNode, number>()

/** graphql-js makes the variables' values anew for each execution; a subscription's context is the same for all events. */
function executionOf({ variableValues }: GraphQLResolveInfo): Execution {
  const known = EXECUTIONS.get(variableValues) ?? { values: 0, hasFailed: false }
  EXECUTIONS.set(variableValues, known)
  return known
}

/** Whether this is the first failure of an execution that is the server's fault: the one that is logged. */
export function isFirstFailure(info: GraphQLResolveInfo): boolean {
  const execution = executionOf(info)
  const isFirst = !execution.hasFailed
  execution.hasFailed = true
  return isFirst
}

/**
 * Counts the values of a list before any of its items is looked at. How long lists without pages are, the cost of the
 * query could only assume.
 *
 * @throws GraphQLError when the answer gets larger than the query may cost
 */
export function countItems(info: GraphQLResolveInfo, items: number): void {
  const execution = executionOf(info)
  const each = info.fieldNodes.reduce((sum, node) => sum + fieldsBelow(node, info.fragments), 0)
  execution.values += items * Math.max(each, 1)
  const isEvent = info.operation.operation === OperationTypeNode.SUBSCRIPTION
  const name = isEvent ? 'maxEventCost' : 'maxCost'
  if (execution.values <= LIMITS[name]) return
  const found = `the response has ${execution.values} values with ${info.parentType.name}.${info.fieldName}`
  throw overLimit(name, found, 'request fewer objects at once, or fewer of their fields')
}

/** Fragments of a valid document have no cycles, and those that fan out are refused for their cost. */
function fieldsBelow(node: FieldNode, fragments: Fragments): number {
  const known = FIELDS_BELOW.get(node) ?? fieldsOf(node.selectionSet, fragments)
  FIELDS_BELOW.set(node, known)
  return known
}

function fieldsOf(set: SelectionSetNode | undefined, fragments: Fragments): number {
  let fields = 0
  for (const selection of set?.selections ?? []) {
    if (selection.kind === Kind.FIELD) fields += 1 + fieldsBelow(selection, fragments)
    else if (selection.kind === Kind.INLINE_FRAGMENT) fields += fieldsOf(selection.selectionSet, fragments)
    else fields += fieldsOf(fragments[selection.name.value]?.selectionSet, fragments)
  }
  return fields
}
