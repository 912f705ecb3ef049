// The rules of "Output Sanitization" said once more, as the regular expressions of the language
// they were written for: the meaning of the Python module, with no regard for its speed.
//
// Run as a program, it reads `{texts, without}` as JSON and writes the array of their answers;
// `without` names a phrase that is not to be taken out, or is empty.

import { argv, stdin, stdout } from 'node:process';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const EVERYWHERE = ['Executive Summary', 'Situational Synthesis', 'Interpretive Note'];
const FOLLOW_UP = 'Follow-?up Questions';
const RED_TEAM = String.raw`Red Team(?:\s*[–-]?\s*Consideration)?`;
const OWN_LINE = [...EVERYWHERE, 'What It Means', 'What to Watch', FOLLOW_UP, RED_TEAM];
const DISCLAIMERS = ['Note on Risk', 'Risk disclaimer'];

// What is left of an expression that stands for two phrases, without one of them.
const LEFT = {
  'Follow-up Questions': [FOLLOW_UP, 'Followup Questions'],
  'Followup Questions': [FOLLOW_UP, 'Follow-up Questions'],
  'Red Team – Consideration': [RED_TEAM, 'Red Team'],
  'Red Team': [RED_TEAM, String.raw`Red Team\s*[–-]?\s*Consideration`],
};

const NUMBERING = String.raw`(?:\s*(?:#{1,6}\s*)?(?:\d+\.\s*)?)?`;
const PUNCTUATION = String.raw`\s*[:\-—]?\s*`;
const QUOTE_AND_BOLD = String.raw`\s*(?:>\s*)?(?:\*\*|__)?\s*`;
const PARAGRAPH = String.raw`[:\-]?[\s\S]*?(?=\n{2,}|$)`;

const oneOf = (phrases) => `(?:${phrases.join('|')})`;

function stepsWithout(phrase) {
  const [whole, left] = LEFT[phrase] ?? [];
  const kept = (phrases) =>
    phrases.filter((one) => one !== phrase).map((one) => (one === whole ? left : one));
  return [
    [new RegExp(`^${NUMBERING}${oneOf(kept(OWN_LINE))}${PUNCTUATION}$`, 'gim'), ''],
    [new RegExp(`${oneOf(kept(EVERYWHERE))}${PUNCTUATION}`, 'gi'), ''],
    ...kept(DISCLAIMERS).map((one) => [
      new RegExp(String.raw`(?:^|\n)${QUOTE_AND_BOLD}${one}${PARAGRAPH}`, 'gi'),
      '',
    ]),
    [/\n{3,}/g, '\n\n'],
  ];
}

const ALL_STEPS = stepsWithout('');

const NOTHING_LEFT =
  'No detailed analysis is available at this time. Please refine your query.';

export function answerFor(text, steps = ALL_STEPS) {
  if (!text) return '';
  const unix = text.replaceAll('\r\n', '\n');
  const rest = steps.reduce((left, [rule, put]) => left.replace(rule, put), unix).trim();
  return rest.length >= 40 ? rest : NOTHING_LEFT;
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { texts, without } = await json(stdin);
  const steps = stepsWithout(without);
  stdout.write(JSON.stringify(texts.map((text) => answerFor(text, steps))));
}
