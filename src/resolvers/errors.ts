import {
  GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLFormattedError,
  type GraphQLSchema,
  isIntrospectionType,
  isObjectType,
} from 'graphql'
import { badInput, CommandError } from '../engine/command-error.js'
import { isDatabaseAway } from '../engine/sql/errors.js'
import type { Logger } from '../logger.js'
import { countItems, isFirstFailure } from './execution.js'
import { LIMITS, overLimit } from './limits.js'

/** A command's error as the API promises it: `extensions.code`, and `field` and `fields` for input that is wrong. */
export function toGraphQLError({ message, code, field, fields }: CommandError): GraphQLError {
  const about = field === null ? {} : { field, fields: [...fields] }
  return new GraphQLError(message, { extensions: { code, ...about } })
}

/**
 * Around every resolver of a schema: commands' errors are translated, and lists counted. What nobody expected is not shown,
 * and logged once for a request: when the database is away, each of its thousand fields says so.
 *
 * Not as a middleware of TypeGraphQL, which makes three promises for each value, whether its resolver makes one or not.
 */
export function translateErrors(schema: GraphQLSchema, logger: Logger): void {
  for (const type of Object.values(schema.getTypeMap())) {
    // Those of the schema itself are graphql-js's own, the same for all schemas.
    if (!isObjectType(type) || isIntrospectionType(type)) continue
    for (const field of Object.values(type.getFields())) {
      if (field.resolve) field.resolve = translated(field.resolve, logger)
    }
  }
}

type Resolve = GraphQLFieldResolver<unknown, unknown>

function translated(resolve: Resolve, logger: Logger): Resolve {
  return (source, args: Readonly<Record<string, unknown>>, context, info) => {
    const counted = (value: unknown) => {
      if (Array.isArray(value)) countItems(info, value.length)
      return value
    }
    const failed = (error: unknown) => {
      if (error instanceof GraphQLError) throw error
      if (error instanceof CommandError) throw toGraphQLError(error)
      if (isFirstFailure(info)) logFailure(logger, `${info.parentType.name}.${info.fieldName}`, error)
      throw serverError(error)
    }
    try {
      refuseNul(args)
      const value: unknown = resolve(source, args, context, info)
      return value instanceof Promise ? value.then(counted, failed) : counted(value)
    } catch (error) {
      return failed(error)
    }
  }
}

function logFailure(logger: Logger, place: string, error: unknown): void {
  logger.error('internal error', { place, error })
}

function serverError(error: unknown): GraphQLError {
  return new GraphQLError(shownOf(error), { extensions: { code: 'INTERNAL_SERVER_ERROR' } })
}

/** What anybody may know of an error that nobody expected. */
export function shownOf(error: unknown): string {
  if (!isDatabaseAway(error)) return 'internal error: see the server log'
  return 'the database does not answer: see the server log. A change may have been made anyway'
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
    return serverError(cause)
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

/** The parser's words. */
const TOO_MANY_TOKENS = /^Syntax Error: Document contains more that \d+ tokens/

/** Names the field where GraphQL itself refuses input; where its library gives no code, by what it says, as for a POST. */
export function nameField(error: GraphQLFormattedError): GraphQLFormattedError {
  const { message, extensions } = error
  if (TOO_MANY_TOKENS.test(message)) {
    return overLimit(
      'maxTokens',
      'the query has more tokens',
      'pass values as variables, or split the query',
    ).toJSON()
  }
  // A rule of ours has refused the document: the request asks for too much.
  const code = extensions?.limit ? 'BAD_USER_INPUT' : (extensions?.code ?? codeOf(message))
  const isOfInput = code === 'BAD_USER_INPUT' || code === 'GRAPHQL_VALIDATION_FAILED'
  const field = isOfInput && extensions?.field === undefined ? fieldIn(message) : undefined
  const about = field === undefined ? {} : { field, fields: [{ field, message }] }
  return { ...error, extensions: { ...extensions, code, ...about } }
}

function codeOf(message: string): string {
  if (message.startsWith('Syntax Error')) return 'GRAPHQL_PARSE_FAILED'
  return message.startsWith('Variable "$') ? 'BAD_USER_INPUT' : 'GRAPHQL_VALIDATION_FAILED'
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
