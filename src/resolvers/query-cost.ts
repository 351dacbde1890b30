import {
  type DocumentNode,
  getNamedType,
  getNullableType,
  GraphQLError,
  type GraphQLSchema,
  isCompositeType,
  isListType,
} from 'graphql'
import {
  type ComplexityEstimatorArgs,
  fieldExtensionsEstimator,
  getComplexity,
} from 'graphql-query-complexity'
import { MAX_PAGE } from '../engine/queries.js'
import { STATEMENT_COST } from '../schema/costs.js'

/** Of lists without pages, such as an app's stages: nobody knows before they are read. */
const LIST_ITEMS = 5
/** Introspection reads memory: no promise, no row. */
const SCHEMA_VALUE_COST = 0.1
const SCHEMA_TYPES = 100
const SCHEMA_LIST_ITEMS = 3
const ROOTS = new Set(['Query', 'Mutation', 'Subscription'])
/** Fragments are looked at where they are spread: those that spread others twice have no end otherwise. */
const MAX_NODES = 10_000

export interface Operation {
  readonly document: DocumentNode
  readonly operationName?: string | null | undefined
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined
}

/**
 * What an operation of a valid document costs, in values of its answer: pages by their `first`, whether it is written,
 * a variable or left out. Infinity for more selections than are counted.
 *
 * @throws GraphQLError for an argument that has no value
 */
export function costOf(schema: GraphQLSchema, { document, operationName, variables }: Operation): number {
  try {
    return getComplexity({
      schema,
      query: document,
      variables: { ...variables },
      estimators: [fieldExtensionsEstimator(), estimate],
      maxQueryNodes: MAX_NODES,
      ...(typeof operationName === 'string' ? { operationName } : {}),
    })
  } catch (error) {
    // Only the library's own limit names no place in the document.
    if (error instanceof GraphQLError && !error.nodes) return Infinity
    throw error
  }
}

/** A page and the count of all: two statements, and each row that may be on it. */
export function pageCost({ args, childComplexity }: ComplexityEstimatorArgs): number {
  // What is not from 1 to MAX_PAGE, the resolver refuses.
  const first = Math.min(Math.max(Number(args.first), 1), MAX_PAGE)
  return 2 * STATEMENT_COST + first * childComplexity
}

/** Whatever says nothing of its cost. */
function estimate({ type, field, childComplexity }: ComplexityEstimatorArgs): number {
  const isList = isListType(getNullableType(field.type))
  if (type.name.startsWith('__')) {
    const items = !isList ? 1 : field.name === 'types' ? SCHEMA_TYPES : SCHEMA_LIST_ITEMS
    return items * (SCHEMA_VALUE_COST + childComplexity)
  }
  if (ROOTS.has(type.name) && !field.name.startsWith('__')) return STATEMENT_COST + childComplexity
  const own = isCompositeType(getNamedType(field.type)) ? 2 : 1
  return (isList ? LIST_ITEMS : 1) * (own + childComplexity)
}
