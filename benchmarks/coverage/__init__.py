"""How often intervals hold, tests are wrong and promises are kept: simulations with a known truth.

One room a subject: :mod:`.populations`, what is drawn from; :mod:`.intervals`, rates, margins and p values;
:mod:`.lengths`, rates at equal length; :mod:`.power`; :mod:`.stopping`, looks after every question.
"""
