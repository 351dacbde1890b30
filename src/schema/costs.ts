import type { ComplexityEstimatorArgs } from 'graphql-query-complexity'

/** What a value of an answer costs is 1. A statement of its own takes the processor as long as so many. */
export const STATEMENT_COST = 20

/** A piece of a log has up to 32 KiB. */
export const TEXT_COST = 100

/** A question to a server that is not ours, which a worker waits for. */
export const REMOTE_COST = 5_000

/** What the field that has `first` has paid for. */
export const PAID = () => 0

/** The rows of a page: how many there may be, the field that has `first` knows. */
export function rowCost({ childComplexity }: ComplexityEstimatorArgs): number {
  return 2 + childComplexity
}
