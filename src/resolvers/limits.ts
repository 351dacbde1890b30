import { GraphQLError } from 'graphql'

/** What one operation may ask for. Reasons and measurements: docs/decisions/0020-limits-of-queries.md. */
export const LIMITS = {
  /** Names, brackets and values of the text. The slowest document found with so many is validated in 0.1 s. */
  maxTokens: 1_000,
  /** Fields inside of fields. */
  maxDepth: 15,
  maxAliases: 100,
  maxDirectives: 50,
  /** Of a list in the variables. */
  maxListItems: 10_000,
  /** About a second of processor. */
  maxCost: 50_000,
  /** Of a subscription, for each of its events. */
  maxEventCost: 5_000,
  /** Of one answer; as many as graphql-js lists of a document. */
  maxErrors: 100,
} as const

export type LimitName = keyof typeof LIMITS

/** @param found what was asked for, as `the query has 101 aliases` */
export function overLimit(name: LimitName, found: string, advice: string): GraphQLError {
  const value = LIMITS[name]
  return new GraphQLError(`${found}; at most ${value} are allowed (${name}): ${advice}`, {
    extensions: { code: 'BAD_USER_INPUT', limit: { name, value } },
  })
}
