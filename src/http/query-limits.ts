import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  Kind,
  OperationTypeNode,
  type ParseOptions,
  type SelectionNode,
  type SelectionSetNode,
  type ValidationRule,
  visit,
} from 'graphql'
import { LIMITS, overLimit } from '../resolvers/limits.js'
import { costOf, type Operation } from '../resolvers/query-cost.js'

/** Before anything else: what validation takes grows with the square of the tokens. */
export const PARSE_OPTIONS: ParseOptions = { maxTokens: LIMITS.maxTokens }

/** What the text of a document may have. It looks when the rules are set up, before any of them sees the document. */
export const withinLimits: ValidationRule = (context) => {
  for (const error of overLimits(context.getDocument())) context.reportError(error)
  return {}
}

/**
 * Why a valid document's operation is not carried out with these variables; null if it is. What is wrong with the
 * variables themselves the execution says.
 */
export function refusalOf(schema: GraphQLSchema, asked: Operation): GraphQLError | null {
  const operation = getOperationAST(asked.document, asked.operationName)
  if (!operation) return null
  const items = longestList(asked.variables)
  if (items > LIMITS.maxListItems) {
    return overLimit('maxListItems', `a list in the variables has ${items} items`, 'send it in parts')
  }
  const given = getVariableValues(schema, operation.variableDefinitions ?? [], asked.variables ?? {}, {
    maxErrors: 1,
  })
  if (given.errors) return null
  const name = operation.operation === OperationTypeNode.SUBSCRIPTION ? 'maxEventCost' : 'maxCost'
  try {
    const cost = costOf(schema, asked)
    if (cost <= LIMITS[name]) return null
    const found = Number.isFinite(cost) ? String(Math.ceil(cost)) : 'far too many'
    return overLimit(name, `the query may return ${found} values`, 'lower `first`, or use several queries')
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
    return new GraphQLError(error.message, { nodes: error.nodes, extensions: { code: 'BAD_USER_INPUT' } })
  }
}

function* overLimits(document: DocumentNode): Generator<GraphQLError> {
  const depth = depthOf(document)
  if (depth > LIMITS.maxDepth) {
    yield overLimit('maxDepth', `the query has ${depth} levels of fields`, 'query inner objects by id')
  }
  const found = { aliases: 0, directives: 0 }
  visit(document, {
    Field: ({ alias }) => void (found.aliases += alias ? 1 : 0),
    Directive: () => void found.directives++,
  })
  if (found.aliases > LIMITS.maxAliases) {
    yield overLimit('maxAliases', `the query has ${found.aliases} aliases`, 'use several queries')
  }
  if (found.directives > LIMITS.maxDirectives) {
    yield overLimit(
      'maxDirectives',
      `the query has ${found.directives} directives`,
      'leave fields out instead',
    )
  }
}

/** Fields inside of fields, through fragments. Of introspection graphql-js has a limit of its own. */
function depthOf({ definitions }: DocumentNode): number {
  const fragments = new Map(
    definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one]] : [])),
  )
  const depths = new Map<string, number>()
  const below = (set: SelectionSetNode | undefined): number =>
    (set?.selections ?? []).reduce((deepest, selection) => Math.max(deepest, depthAt(selection)), 0)
  const depthAt = (selection: SelectionNode): number => {
    if (selection.kind === Kind.INLINE_FRAGMENT) return below(selection.selectionSet)
    if (selection.kind === Kind.FIELD) {
      return selection.name.value.startsWith('__') ? 1 : 1 + below(selection.selectionSet)
    }
    const name = selection.name.value
    const known = depths.get(name)
    if (known !== undefined) return known
    // One that spreads itself ends here; validation refuses it.
    depths.set(name, 0)
    const depth = below(fragments.get(name)?.selectionSet)
    depths.set(name, depth)
    return depth
  }
  const operations = definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION)
  return Math.max(0, ...operations.map(({ selectionSet }) => below(selectionSet)))
}

/** Of lists at any depth. Without recursion: JSON may be nested deeper than the stack. */
function longestList(variables: unknown): number {
  let longest = 0
  for (const waiting = [variables]; waiting.length > 0;) {
    const value = waiting.pop()
    if (typeof value !== 'object' || value === null) continue
    if (Array.isArray(value)) longest = Math.max(longest, value.length)
    for (const inner of Object.values(value)) waiting.push(inner)
  }
  return longest
}
