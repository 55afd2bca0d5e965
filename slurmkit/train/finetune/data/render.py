"""From a sample to the text that the model sees, and which parts of it are to be learnt.

Learnt are the assistant's turns, a prompt's completion, or all of a plain text, each with the
token that ends it. Where a turn stands in the text is found by rendering the chat without it and
with it: chat templates need no `{% generation %}`, and most have none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slurmkit.train.finetune.data.read import BadSampleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    Message = dict[str, Any]

_EMPTY_THOUGHT = re.compile(r"\s*(?:<think>\s*)?</think>\s*")
_OPEN_THOUGHT = re.compile(r"\s*<think>\s*\Z")


@dataclass(frozen=True)
class Rendered:
    """A sample as text."""

    text: str
    """What is tokenised."""
    learnt: list[tuple[int, int]]
    """Start and end of each part that is supervised, in characters."""
    bare: bool
    """Whether the tokenizer puts its own tokens (bos) around it; a template writes them itself."""
    ends: bool
    """Whether the end-of-text token is to follow, supervised."""


class Renderer:
    """Renders samples for one tokenizer and its chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        self._special = tuple(str(token) for token in added if token.special)

    def render(self, sample: dict[str, Any]) -> Rendered:
        """Return a checked sample as text.

        Raises:
            BadSampleError: the chat template refuses it, or does not show where an answer stands.
        """
        if "messages" in sample:
            rendered = self._chat(sample["messages"], sample["tools"])
        else:
            prompt = sample.get("prompt", "")
            text = prompt + sample.get("completion", sample.get("text"))
            rendered = Rendered(text, [(len(prompt), len(text))], bare=True, ends=True)
        try:
            rendered.text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadSampleError(
                f"half a character ({error.object[error.start]!a}) in its text: JSON's \\ud800 to "
                "\\udfff come in pairs; mend or remove the line"
            ) from None
        return rendered

    def _chat(self, messages: Sequence[Message], tools: list[Any] | None) -> Rendered:
        if not self._tokenizer.chat_template:
            raise BadSampleError(
                "`messages`, but the tokenizer has no chat template: give one as "
                "`data.chat_template`, or write `prompt` and `completion`"
            )
        whole = self._template(messages, tools, prompt=False)
        answers = [
            self._answer(whole, messages[: number + 1], tools)
            for number, message in enumerate(messages)
            if message["role"] == "assistant"
        ]
        unended = messages[-1]["role"] == "assistant" and not self._is_ended(whole, *answers[-1])
        return Rendered(whole, answers, bare=False, ends=unended)

    def _answer(
        self, whole: str, messages: Sequence[Message], tools: list[Any] | None
    ) -> tuple[int, int]:
        """Return where the last of the messages stands in the whole chat, with what ends it.

        An empty thought in front is not learnt: the template has put it there. Where no token of
        its own ends an answer, as in GLM's template, the special token that opens the next turn
        does: generation stops at it.
        """
        place = f"messages[{len(messages) - 1}]"
        after = self._template(messages, tools, prompt=False)
        if not whole.startswith(after):
            raise BadSampleError(
                f"the chat template changes `{place}` when others follow (some drop what was "
                "thought in earlier turns): make one sample of each answer, with the messages up "
                "to it, or give another `data.chat_template`"
            )
        before = self._template(messages[:-1], tools, prompt=True)
        if not after.startswith(before):
            before = _OPEN_THOUGHT.sub("", before)
        if not after.startswith(before):
            raise BadSampleError(
                f"the chat template's add_generation_prompt does not lead to `{place}`: "
                "give another `data.chat_template`"
            )
        thought = _EMPTY_THOUGHT.match(after, len(before))
        start = thought.end() if thought else len(before)
        end = len(after.rstrip())
        if self._is_ended(after, start, end):
            return start, end
        following = [token for token in self._special if whole.startswith(token, len(after))]
        return start, len(after) + max(map(len, following), default=0)

    def _is_ended(self, text: str, start: int, end: int) -> bool:
        return text[start:end].endswith(self._special)

    def _template(
        self, messages: Sequence[Message], tools: list[Any] | None, *, prompt: bool
    ) -> str:
        try:
            # As a batch of one: transformers looks into the first message, and there may be none.
            texts = self._tokenizer.apply_chat_template(
                [list(messages)], tools=tools, tokenize=False, add_generation_prompt=prompt
            )
        except Exception as error:  # a template is a program, and may raise anything
            raise BadSampleError(
                f"the chat template refuses it ({type(error).__name__}: {error}): mend the sample, "
                "or give another `data.chat_template`"
            ) from error
        return str(texts[0])
