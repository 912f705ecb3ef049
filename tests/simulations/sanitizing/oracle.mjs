// The rules of "Output Sanitization" said once more, as the regular expressions of the language
// they were written for: the meaning of the Python module, with no regard for its speed.
//
// Run as a program, it reads a JSON array of texts and writes the JSON array of their answers.

import { argv, stdin, stdout } from 'node:process';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const EVERYWHERE = ['Executive Summary', 'Situational Synthesis', 'Interpretive Note'];
const OWN_LINE = [
  ...EVERYWHERE,
  'What It Means',
  'What to Watch',
  'Follow-?up Questions',
  String.raw`Red Team(?:\s*[–-]?\s*Consideration)?`,
];
const DISCLAIMERS = ['Note on Risk', 'Risk disclaimer'];

const NUMBERING = String.raw`(?:\s*(?:#{1,6}\s*)?(?:\d+\.\s*)?)?`;
const PUNCTUATION = String.raw`\s*[:\-—]?\s*`;
const QUOTE_AND_BOLD = String.raw`\s*(?:>\s*)?(?:\*\*|__)?\s*`;
const PARAGRAPH = String.raw`[:\-]?[\s\S]*?(?=\n{2,}|$)`;

const oneOf = (phrases) => `(?:${phrases.join('|')})`;

const STEPS = [
  [new RegExp(`^${NUMBERING}${oneOf(OWN_LINE)}${PUNCTUATION}$`, 'gim'), ''],
  [new RegExp(`${oneOf(EVERYWHERE)}${PUNCTUATION}`, 'gi'), ''],
  ...DISCLAIMERS.map((phrase) => [
    new RegExp(String.raw`(?:^|\n)${QUOTE_AND_BOLD}${phrase}${PARAGRAPH}`, 'gi'),
    '',
  ]),
  [/\n{3,}/g, '\n\n'],
];

const NOTHING_LEFT =
  'No detailed analysis is available at this time. Please refine your query.';

export function answerFor(text) {
  if (!text) return '';
  const unix = text.replaceAll('\r\n', '\n');
  const rest = STEPS.reduce((left, [rule, put]) => left.replace(rule, put), unix).trim();
  return rest.length >= 40 ? rest : NOTHING_LEFT;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const texts = await json(stdin);
  stdout.write(JSON.stringify(texts.map(answerFor)));
}
