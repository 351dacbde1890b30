import { GraphQLScalarType } from 'graphql'
import { GraphQLDateTime } from 'graphql-scalars'

export const DateTime = new GraphQLScalarType<Date, Date>({
  ...GraphQLDateTime.toConfig(),
  name: 'DateTime',
  description: 'ISO 8601 date and time in UTC, with milliseconds.',
})
