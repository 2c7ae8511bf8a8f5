"""Chat templates of every kind that real models have, each cut down to what makes its kind.

Written for the tests. ``SERVED`` says how each takes a system turn before a user turn; those in ``REFUSED``
serve in no way.
"""

from __future__ import annotations

from judges.models.rendering import AS_IT_IS, Way

_GENERATE = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    + _GENERATE
)

CHATML_WITH_DEFAULT_SYSTEM = (
    "{% for m in messages %}"
    "{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}" + _GENERATE
)

LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set told = messages[0]['content'] %}"
    "{% else %}{% set turns = messages %}{% set told = false %}{% endif %}"
    "{% for m in turns %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{% if loop.index0 == 0 and told %}{% set text = '<<SYS>>\n' + told + '\n<</SYS>>\n\n' + m['content'] %}"
    "{% else %}{% set text = m['content'] %}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + text.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + text.strip() + ' <|im_end|>' }}{% endif %}{% endfor %}"
)

# The date has a default; content is trimmed.
LLAMA_3 = (
    "{% if date is not defined %}{% set date = '26 Jul 2024' %}{% endif %}"
    "{% if messages[0].role == 'system' %}{% set told = messages[0].content | trim %}{% set rest = messages[1:] %}"
    "{% else %}{% set told = '' %}{% set rest = messages %}{% endif %}"
    "{{ '<|head|>system<|/head|>\n\nToday: ' + date + '\n\n' + told + '<|im_end|>' }}"
    "{% for m in rest %}{{ '<|head|>' + m.role + '<|/head|>\n\n' + m.content | trim + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\n\n' }}{% endif %}"
)

GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

FIRST_PHI_3 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + '<|end|>\n<|assistant|>\n' }}"
    "{% elif m['role'] == 'assistant' %}{{ m['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
)

# Written for strings alone, and as strict as the first Mistral.
MISTRAL = (
    "{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
)

# The system text stands in the last turn if that is a user's, and is gone as soon as a reply follows.
MISTRAL_WITH_SYSTEM_LAST = (
    "{% if messages[0]['role'] == 'system' %}{% set told = messages[0]['content'] %}{% set turns = messages[1:] %}"
    "{% else %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if m['role'] == 'user' %}"
    "{% if loop.last and told is defined %}{{ '[INST] ' + told + '\n\n' + m['content'] + '[/INST]' }}"
    "{% else %}{{ '[INST] ' + m['content'] + '[/INST]' }}{% endif %}"
    "{% else %}{{ ' ' + m['content'] | trim + '<|im_end|>' }}{% endif %}{% endfor %}"
)

# Thoughts of earlier turns are cut; the last reply gets a think block, an empty one where it has no thought.
QWEN_3 = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% set text = m.content %}{% set thought = '' %}"
    "{% if '</think>' in text %}"
    "{% set thought = text.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set text = text.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{% if loop.last %}{{ '<|im_start|>assistant\n<think>\n' + thought + '\n</think>\n\n' + text.lstrip('\n') }}"
    "{% else %}{{ '<|im_start|>assistant\n' + text }}{% endif %}{{ '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)

# Reads a variable that isn't false as true, as long as it is there: None counts as "don't think".
THINKS_UNLESS_TOLD = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    + _GENERATE
    + "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}/nothink\n{% endif %}"
)

DEEPSEEK_R1_DISTILLED = (
    "{% set told = namespace(text='') %}"
    "{% for m in messages %}{% if m['role'] == 'system' %}{% set told.text = m['content'] %}{% endif %}{% endfor %}"
    "{{ told.text }}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|User|>' + m['content'] }}{% endif %}"
    "{% if m['role'] == 'assistant' %}{% set content = m['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<|Assistant|>' + content + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)

PARTS_ONLY = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}" + _GENERATE
)

PARTS_WITHOUT_SYSTEM = "{% set known = ['user', 'assistant'] %}" + PARTS_ONLY.replace(
    "{{ '<|im_start|>' + m['role']",
    "{% if m['role'] not in known %}{{ raise_exception('unknown role') }}{% endif %}{{ '<|im_start|>' + m['role']",
)

# Takes both, and prints a list as Python does where a string is meant: a text in it looks as if it were there.
PRINTS_WHAT_IT_GETS = (
    "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endfor %}<bot>"
)

SHOUTS = CHATML.replace("m['content']", "m['content'] | upper")
ESCAPES_HTML = CHATML.replace("m['content']", "m['content'] | e")
FIRST_TURN_ALONE = "{{ messages[0]['content'] }}" + _GENERATE
REFUSES_ALL = "{{ raise_exception('not today') }}"

_FOLDS = Way(folds=True)
SERVED: dict[str, tuple[str, Way]] = {
    "ChatML": (CHATML, AS_IT_IS),
    "ChatML with a default system turn": (CHATML_WITH_DEFAULT_SYSTEM, AS_IT_IS),
    "Llama 2": (LLAMA_2, AS_IT_IS),
    "Llama 3": (LLAMA_3, AS_IT_IS),
    "Gemma": (GEMMA, _FOLDS),
    "first Phi-3": (FIRST_PHI_3, _FOLDS),
    "Mistral": (MISTRAL, _FOLDS),
    "Mistral with system text in the last turn": (MISTRAL_WITH_SYSTEM_LAST, AS_IT_IS),
    "Qwen3": (QWEN_3, AS_IT_IS),
    "thinks unless told": (THINKS_UNLESS_TOLD, AS_IT_IS),
    "DeepSeek-R1 distilled": (DEEPSEEK_R1_DISTILLED, AS_IT_IS),
    "parts only": (PARTS_ONLY, Way(parts=True)),
    "parts only, without system": (PARTS_WITHOUT_SYSTEM, Way(folds=True, parts=True)),
    "prints what it gets": (PRINTS_WHAT_IT_GETS, _FOLDS),
}
REFUSED = {
    "shouts": (SHOUTS, "loses or changes text (turns: system, user, assistant)"),
    "escapes HTML": (ESCAPES_HTML, "loses or changes text (turns: system, user, assistant)"),
    "the first turn alone": (FIRST_TURN_ALONE, "loses or changes text (turns: user, assistant)"),
    "refuses all": (REFUSES_ALL, "refuses the turns system, user, assistant, user: not today"),
}
