import { GraphQLError, type GraphQLFormattedError } from 'graphql'
import type { MiddlewareFn } from 'type-graphql'
import { badInput, CommandError } from '../engine/errors.js'
import type { Logger } from '../logger.js'
import { countItems, isFirstFailure } from './execution.js'
import { LIMITS, overLimit } from './limits.js'

/** A command's error as the API promises it: `extensions.code`, and `field` for input that is wrong. */
export function toGraphQLError(error: CommandError): GraphQLError {
  const field = error.field === null ? {} : { field: error.field }
  return new GraphQLError(error.message, { extensions: { code: error.code, ...field } })
}

/**
 * Around every resolver: commands' errors are translated, and lists counted. What nobody expected is not shown, and
 * logged once for a request: when the database is away, each of its thousand fields says so.
 */
export function translateErrors(logger: Logger): MiddlewareFn {
  return async ({ info, args }, next) => {
    try {
      refuseNul(args)
      const value: unknown = await next()
      if (Array.isArray(value)) countItems(info, value.length)
      return value
    } catch (error) {
      if (error instanceof GraphQLError) throw error
      if (error instanceof CommandError) throw toGraphQLError(error)
      if (isFirstFailure(info)) logFailure(logger, `${info.parentType.name}.${info.fieldName}`, error)
      throw serverError()
    }
  }
}

function logFailure(logger: Logger, place: string, error: unknown): void {
  logger.error('internal error', { place, error })
}

function serverError(): GraphQLError {
  return new GraphQLError('internal error: see the server log', {
    extensions: { code: 'INTERNAL_SERVER_ERROR' },
  })
}

/** One that ends many subscriptions at once. */
const LOGGED = new WeakSet<Error>()

/** The errors of a subscription, or of one of its events, as the answer to a POST would have them. */
export function formatted(errors: readonly GraphQLError[], logger: Logger): GraphQLFormattedError[] {
  let isLogged = false
  const known = errors.map((error) => {
    const cause = error.originalError
    if (!cause || cause instanceof GraphQLError) return error
    if (cause instanceof CommandError) return toGraphQLError(cause)
    if (!isLogged && !LOGGED.has(cause)) logFailure(logger, 'subscription', cause)
    LOGGED.add(cause)
    isLogged = true
    return serverError()
  })
  return listable(known.map((error) => nameField(error.toJSON())))
}

/** As many errors as one answer lists; the last says how many more there are. */
export function listable(errors: readonly GraphQLFormattedError[]): GraphQLFormattedError[] {
  const more = errors.length - LIMITS.maxErrors
  if (more <= 0) return [...errors]
  const listed = errors.slice(0, LIMITS.maxErrors)
  const code = listed.at(-1)?.extensions?.code
  const limit = { name: 'maxErrors', value: LIMITS.maxErrors }
  return [
    ...listed,
    { message: `${more} more errors are not listed (maxErrors)`, extensions: { code, limit } },
  ]
}

/** PostgreSQL's text cannot hold NUL: an id, a name or a key that has one names nothing. What is nested has its grammar. */
export function refuseNul(values: Readonly<Record<string, unknown>>): void {
  for (const [field, value] of Object.entries(values)) {
    if (hasNul(value)) throw badInput(field, 'contains a NUL character')
    if (Array.isArray(value)) {
      const place = value.findIndex(hasNul)
      if (place >= 0) throw badInput(`${field}[${place}]`, 'contains a NUL character')
    }
    if (field === 'input' && typeof value === 'object' && value !== null) {
      refuseNul(value as Readonly<Record<string, unknown>>)
    }
  }
}

function hasNul(value: unknown): boolean {
  return typeof value === 'string' && value.includes('\0')
}

/** What GraphQL itself calls input that it refuses; without a code it is of the library below. */
const REFUSED_INPUT = new Set<unknown>([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'OPERATION_RESOLUTION_FAILURE',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
  'BAD_REQUEST',
  undefined,
])

/** The parser's words. */
const TOO_MANY_TOKENS = /^Syntax Error: Document contains more that \d+ tokens/

/** Gives input that GraphQL itself refused the code and the field of input that a command refused. */
export function nameField(error: GraphQLFormattedError): GraphQLFormattedError {
  const { message, extensions } = error
  if (TOO_MANY_TOKENS.test(message)) {
    return overLimit(
      'maxTokens',
      'the query has more tokens',
      'send what is known by variables, or in parts',
    ).toJSON()
  }
  const code = REFUSED_INPUT.has(extensions?.code) ? 'BAD_USER_INPUT' : extensions?.code
  if (code !== 'BAD_USER_INPUT') return error
  const field = extensions?.field ?? fieldIn(message)
  return { ...error, extensions: { ...extensions, code, ...(field === undefined ? {} : { field }) } }
}

/** A field as GraphQL's messages name it, in a query's text with its type. */
function fieldIn(message: string): string | undefined {
  const missing = /Field "(?:[^".]+\.)?([^".]+)" of required type/.exec(message)?.[1]
  const unknown = /Field "([^"]+)" is not defined/.exec(message)?.[1]
  const argument = /\bargument "([^"]+)"/i.exec(message)?.[1]
  const nested = / at "[^".]*\.([^"]+)"/.exec(message)?.[1]
  const variable = /^Variable "\$([^"]+)"/.exec(message)?.[1]
  return missing ?? unknown ?? argument ?? nested ?? variable
}
